using System.Text.Json.Nodes;
using Npgsql;
using Routing.TestKit;

namespace Routing.Demo;

/// <summary>
/// An operator's day: the commands of <c>routingctl</c> one after the other, each with a look whether it did it.
/// </summary>
internal sealed class OperatorDay(DemoOptions options, DemoCluster cluster, Observer observer, Action<string> say)
    : IDisposable
{
    private const string Scope = "demo", Retired = "retired";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);
    private readonly Routingctl _ctl = new(options, cluster, say);
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(5) };

    public void Dispose() => _http.Dispose();

    public async Task RunAsync()
    {
        say($"$ export PATRONICTL_CONFIG_FILE={cluster.Nodes[0].ConfigurationFile}");
        await LookAsync();
        await ChangeAsync();
        await RestartAsync();
        await SwitchoverAsync();
        await PauseAsync();
        await ReinitializeAsync();
        await ExplainAsync();
        await RemoveAsync();
        say("");
    }

    private async Task LookAsync()
    {
        var list = await _ctl.DoneAsync("list", Scope);
        Check(cluster.Nodes.All(node => Has(list, $"| {node.Name} ")), "every member is listed");
        Check(Has(await _ctl.DoneAsync("list", "-e", Scope), "| Scheduled restart |"), "there is every column");
        Check(Has(await _ctl.DoneAsync("show-config", Scope), "synchronous_mode: quorum"), "the configuration is ours");
    }

    private async Task ChangeAsync()
    {
        await _ctl.DoneAsync("edit-config", Scope, "-p", "work_mem=8MB", "--force");
        await ShownAsync(cluster.Nodes, "work_mem", "8MB");

        var (_, standby) = await WholeAsync();
        await File.AppendAllTextAsync(standby.ConfigurationFile, "\ntags:\n  clonefrom: true\n");
        say($"({standby.ConfigurationFile} has a new tag: clonefrom)");
        await _ctl.DoneAsync("reload", Scope, standby.Name, "--force");
        await ComesTrueAsync(
            async () => (await MembersAsync(standby)).Any(member => (string?)member!["name"] == standby.Name
                && member["tags"]?["clonefrom"]?.ToString() == "true"),
            $"{standby.Name} has the tag clonefrom");
    }

    private async Task RestartAsync()
    {
        const string setting = "track_activity_query_size";
        await _ctl.DoneAsync("edit-config", Scope, "-p", $"{setting}=2048", "--force");
        await ComesTrueAsync(
            async () => (await MembersAsync(cluster.Nodes[0]))
                .All(member => member!["pending_restart"]?.ToString() == "true"),
            "every member says that it waits for a restart");
        Check(Has(await _ctl.DoneAsync("list", Scope), "| Pending restart |"), "the list says so, too");

        var (_, standby) = await WholeAsync();
        var before = standby.Postmaster;
        await _ctl.DoneAsync("restart", Scope, standby.Name, "--force");
        Check(standby.Postmaster is { } after && after != before, $"{standby.Name} has a new postmaster");
        await ShownAsync([standby], setting, "2kB");

        await WholeAsync();
        await _ctl.DoneAsync("rolling-restart", Scope, "--pending", "--force");
        await ShownAsync(cluster.Nodes, setting, "2kB");
    }

    private async Task SwitchoverAsync()
    {
        var (primary, standby) = await WholeAsync();
        await _ctl.DoneAsync(
            "switchover", Scope, "--leader", primary.Name, "--candidate", standby.Name, "--force");
        await ComesTrueAsync(() => observer.Primary?.Name == standby.Name, $"{standby.Name} is the primary");
        await WholeAsync();
        await ComesTrueAsync(
            async () => (string?)JsonNode.Parse(await _http.GetStringAsync(new Uri(standby.Rest, "history")))!.AsArray()
                .LastOrDefault()?.AsArray().ElementAtOrDefault(4) == standby.Name,
            $"the history ends with {standby.Name}");
        Check(Has(await _ctl.DoneAsync("history", Scope), $"| {standby.Name} "), "routingctl says so, too");
        Check(Has(await _ctl.DoneAsync("why", Scope, "--last"), $"from {primary.Name}, to {standby.Name}"),
            "that is the story of this switchover");
    }

    private async Task PauseAsync()
    {
        const string sign = "Maintenance mode: on";
        await _ctl.DoneAsync("pause", Scope, "--wait");
        Check(Has(await _ctl.DoneAsync("list", Scope), sign), "the list shows the pause");
        await _ctl.DoneAsync("resume", Scope, "--wait");
        Check(!Has(await _ctl.DoneAsync("list", Scope), sign), "the list shows no pause any more");
    }

    private async Task ReinitializeAsync()
    {
        var (primary, standby) = await WholeAsync();
        Check(!Has(await RefusedAsync("reinit", Scope, primary.Name, "--force"), "Success"),
            "the leader's data are not replaced");
        var before = standby.Postmaster;
        await _ctl.DoneAsync("reinit", Scope, standby.Name, "--force", "--wait");
        Check(standby.Postmaster is { } after && after != before, $"{standby.Name} has a new postmaster");
        await WholeAsync();
        Check(true, $"{standby.Name} streams again");
    }

    private async Task ExplainAsync()
    {
        var (primary, _) = await WholeAsync();
        Check(Has(await _ctl.DoneAsync("why", Scope), $"| {primary.Name} "), "there is a reason for each");
        Check((await _ctl.DoneAsync("events", Scope, "--last", "8")).Split('\n').Length >= 8, "there are events");
        var (code, findings) = await _ctl.EndAsync([], "check", Scope);
        Check(code is 0 or 1 && !Has(findings, "ERROR"), $"nothing is wrong (exit code {code}: "
            + $"{(code == 0 ? "nothing to say" : "warnings alone")})");
    }

    private async Task RemoveAsync()
    {
        await WholeAsync();
        using var ours = new EtcdKeys(cluster.Etcd.Endpoint, $"/service/{Scope}");
        using var retired = new EtcdKeys(cluster.Etcd.Endpoint, $"/service/{Retired}");

        say("");
        say($"(to the questions of the next one: {Scope}, Yes I am aware, nobody)");
        await _ctl.RunAsync(1, [Scope, "Yes I am aware", "nobody"], "remove", Scope);
        Check(await ours.GetAsync("config") is not null && await ours.GetAsync("leader") is not null,
            "a cluster that has a leader is not removed by whoever cannot name it");

        await retired.PutAsync("config", "{}");
        await _ctl.RunAsync(0, [Retired, "Yes I am aware"], "remove", Retired);
        Check((await retired.AllAsync()).Count == 0 && await ours.GetAsync("config") is not null,
            "the keys of a cluster that is no more are gone, ours are not");
    }

    /// <summary>The members by what they have written to etcd.</summary>
    private async Task<JsonArray> MembersAsync(Node asked) =>
        JsonNode.Parse(await _http.GetStringAsync(new Uri(asked.Rest, "cluster")))!["members"]!.AsArray();

    private Task<string> RefusedAsync(params string[] words) => _ctl.RunAsync(1, [], words);

    /// <summary>Waits until all is well.</summary>
    /// <returns>The primary, and a standby whose confirmation counts.</returns>
    private async Task<(Node Primary, Node Standby)> WholeAsync()
    {
        (Node, Node)? found = null;
        await WaitUntil.TrueAsync(
            () =>
            {
                var members = observer.Members;
                if (observer.IsWhole && members.FirstOrDefault(member => member.IsPrimary) is { } primary
                    && members.FirstOrDefault(member => member.IsStreaming) is { } standby)
                {
                    found = (cluster[primary.Name], cluster[standby.Name]);
                }
                return found is not null;
            },
            s_patience, "the cluster is whole");
        return found!.Value;
    }

    private async Task ShownAsync(IEnumerable<Node> nodes, string setting, string value)
    {
        foreach (var node in nodes)
        {
            await ComesTrueAsync(
                async () =>
                {
                    await using var connection = new NpgsqlConnection(node.ConnectionString);
                    await connection.OpenAsync();
                    await using var show = new NpgsqlCommand($"SHOW {setting}", connection);
                    return (string?)await show.ExecuteScalarAsync() == value;
                },
                $"{node.Name} runs with {setting} = {value}");
        }
    }

    private Task ComesTrueAsync(Func<bool> condition, string what) =>
        ComesTrueAsync(() => Task.FromResult(condition()), what);

    private async Task ComesTrueAsync(Func<Task<bool>> condition, string what)
    {
        await WaitUntil.TrueAsync(condition, s_patience, what);
        Check(true, what);
    }

    private void Check(bool isTrue, string what) =>
        say(isTrue ? $"  → {what}" : throw new InvalidOperationException($"Not so: {what}."));

    private static bool Has(string text, string part) => text.Contains(part, StringComparison.Ordinal);
}
