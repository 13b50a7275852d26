using Routing.TestKit;

namespace Routing.Demo;

/// <summary>What can happen to a cluster.</summary>
internal enum ScenarioKind
{
    Switchover,
    CrashPrimary,
    StopAgent,
    KillNode,
    StopEtcd,
    Operator,
}

/// <summary>
/// The things that happen, each of which ends when they did: not when the cluster has dealt with them.
/// </summary>
internal sealed class Scenarios(DemoOptions options, DemoCluster cluster, Observer observer, Action<string> say)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_etcdAway = TimeSpan.FromSeconds(12);

    public static ScenarioKind? Named(string name) => name switch
    {
        "switchover" => ScenarioKind.Switchover,
        "crash-primary" => ScenarioKind.CrashPrimary,
        "stop-agent" => ScenarioKind.StopAgent,
        "kill-node" => ScenarioKind.KillNode,
        "stop-etcd" => ScenarioKind.StopEtcd,
        "operator" => ScenarioKind.Operator,
        _ => null,
    };

    /// <summary>Lets it happen to the primary; returns when the cluster had the time to answer.</summary>
    public Task RunAsync(ScenarioKind kind)
    {
        var primary = cluster[observer.Primary?.Name ?? throw new InvalidOperationException($"No primary: {observer}")];
        return kind switch
        {
            ScenarioKind.Switchover => SwitchoverAsync(primary),
            ScenarioKind.CrashPrimary => CrashPrimaryAsync(primary),
            ScenarioKind.StopAgent => StopAgentAsync(primary),
            ScenarioKind.KillNode => KillNodeAsync(primary),
            ScenarioKind.Operator => OperatorAsync(),
            _ => StopEtcdAsync(),
        };
    }

    private async Task SwitchoverAsync(Node primary)
    {
        var candidate = observer.Members.First(member => member.IsStreaming).Name;
        say($"Switchover from {primary.Name} to {candidate}");
        using var http = new HttpClient { Timeout = s_patience };
        // a length, no chunks
        using var wish = new StringContent($$"""{"leader": "{{primary.Name}}", "candidate": "{{candidate}}"}""");
        using var answer = await http.PostAsync(new Uri(primary.Rest, "switchover"), wish);
        say($"{(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
        if (!answer.IsSuccessStatusCode)
        {
            throw new InvalidOperationException("The switchover was refused.");
        }
        await WaitUntil.TrueAsync(() => observer.Primary?.Name == candidate, s_patience, $"{candidate} is the primary");
    }

    private async Task CrashPrimaryAsync(Node primary)
    {
        var postmaster =
            primary.Postmaster ?? throw new InvalidOperationException($"{primary.Name} has no postmaster.");
        say($"kill -9 {postmaster}: the postmaster of {primary.Name}, the primary");
        ProcessFolder.Signal(postmaster, ProcessFolder.Kill);
        await WaitUntil.TrueAsync(
            () => observer.Primary is { } now
                && (now.Name != primary.Name || primary.Postmaster is { } other && other != postmaster),
            s_patience, "there is a primary again");
        say($"{observer.Primary?.Name} is the primary");
    }

    private async Task StopAgentAsync(Node primary)
    {
        say($"SIGTERM to the agent of {primary.Name}, the primary");
        await primary.StopAsync(s_patience);
        await ReplaceAsync(primary);
    }

    private async Task KillNodeAsync(Node primary)
    {
        say($"kill -9 of everything on {primary.Name}, the primary: agent, fence and PostgreSQL");
        primary.Kill();
        await ReplaceAsync(primary);
    }

    private async Task ReplaceAsync(Node old)
    {
        await WaitUntil.TrueAsync(() => observer.Primary is { } now && now.Name != old.Name, s_patience,
            "another member is the primary");
        say($"{observer.Primary?.Name} is the primary; the agent of {old.Name} starts again");
        old.Start();
    }

    private async Task OperatorAsync()
    {
        using var day = new OperatorDay(options, cluster, observer, say);
        await day.RunAsync();
    }

    private async Task StopEtcdAsync()
    {
        say($"etcd stops, for {s_etcdAway.TotalSeconds:0} s: more than two lives of a lease");
        await cluster.Etcd.StopAsync();
        await Task.Delay(s_etcdAway);
        say("etcd starts again");
        await cluster.Etcd.RestartAsync();
    }
}
