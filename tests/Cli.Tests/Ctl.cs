using Routing.Cli.Terminal;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.TestKit;

namespace Routing.Cli.Tests;

/// <summary>Runs command lines against a DCS in memory, with prepared answers to the prompts.</summary>
internal sealed class Ctl
{
    public static readonly DateTimeOffset Noon = new(2026, 8, 1, 12, 0, 0, TimeSpan.Zero);

    public InMemoryDcs Dcs { get; } = new(TimeProvider.System);

    public Dictionary<string, string> Variables { get; } = new(StringComparer.Ordinal) { ["HOME"] = "/nonexistent" };

    public TimeProvider Time { get; set; } = new FixedTime(Noon);

    public bool IsTerminal { get; set; }

    public bool HasColours { get; set; }

    /// <summary>The options and base paths that stores were opened with.</summary>
    public List<(EtcdOptions Options, string BasePath)> Opened { get; } = [];

    /// <summary>Instead of the DCS in memory.</summary>
    public Func<IClusterStore>? Store { get; set; }

    /// <summary>Open real clusters in etcd.</summary>
    public bool UsesEtcd { get; init; }

    /// <summary>Runs one command line. Any scope is the DCS in memory.</summary>
    /// <param name="commandLine">Words parted by blanks.</param>
    /// <param name="answers">What the operator enters at the prompts; the input ends after them.</param>
    public Task<Ended> RunAsync(string commandLine, params string[] answers) =>
        RunAsync(commandLine.Split(' ', StringSplitOptions.RemoveEmptyEntries), answers,
            TestContext.Current.CancellationToken);

    public async Task<Ended> RunAsync(string[] arguments, string[] answers, CancellationToken cancellationToken)
    {
        using var output = new StringWriter { NewLine = "\n" };
        return await RunAsync(arguments, answers, output, cancellationToken);
    }

    /// <summary>Runs a command line that has no end of its own; its output is read meanwhile.</summary>
    public Task<Ended> FollowAsync(string[] arguments, SharedText output, CancellationToken cancellationToken) =>
        RunAsync(arguments, [], output, cancellationToken);

    private async Task<Ended> RunAsync(
        string[] arguments, string[] answers, TextWriter output, CancellationToken cancellationToken)
    {
        using var input = new StringReader(string.Concat(answers.Select(answer => answer + "\n")));
        using var error = new StringWriter { NewLine = "\n" };
        var real = new CtlEnvironment(new Screen(input, output, error, IsTerminal, useColours: false, HasColours), Time,
            Variables);
        var environment = UsesEtcd ? real : real with
        {
            OpenStore = (options, clusterNamespace, scope, _, _) =>
            {
                Opened.Add((options, ClusterKeys.BasePath(clusterNamespace, scope)));
                return Store?.Invoke() ?? Dcs.Connect();
            },
        };
        var exitCode = await new Routingctl(environment).RunAsync(arguments, cancellationToken);
        return new Ended(exitCode, output.ToString() ?? "", error.ToString());
    }

    /// <summary>A command line that ends with 1 and this error, on the cluster of <see cref="WithPay"/>.</summary>
    public static async Task RefusesAsync(string commandLine, string error)
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync(commandLine);

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith($"Error: {error}", ended.Error, StringComparison.Ordinal);
    }

    /// <summary>A primary and a quorum standby on two hosts, named pay.</summary>
    public Ctl WithPay(
        string apiOfLeader = "http://10.1.0.11:8008/patroni", string apiOfStandby = "http://10.1.0.12:8008/patroni")
    {
        Variables["DCS_URL"] = "localhost";
        Dcs.Put(ClusterKeys.Initialize, "7412345678901234567");
        Dcs.Put(ClusterKeys.Config, """{"ttl":30,"loop_wait":10,"synchronous_mode":"quorum"}""");
        Dcs.Put(ClusterKeys.Leader, "pg-a");
        Dcs.Put(ClusterKeys.Sync, """{"leader":"pg-a","quorum":0,"sync_standby":"pg-b"}""");
        Dcs.Put(ClusterKeys.Status, """{"optime":117440840}""");
        PutMember("pg-a", $$"""
            {"conn_url":"postgres://10.1.0.11:5432/postgres","api_url":"{{apiOfLeader}}","state":"running",
             "role":"primary","version":"4.1.4","xlog_location":117440840,"timeline":4}
            """);
        PutStandby(apiOfStandby);
        return this;
    }

    /// <summary>The key of the standby pg-b.</summary>
    /// <param name="apiUrl">Its api_url.</param>
    /// <param name="more">Further fields, each with a comma before it.</param>
    public void PutStandby(string apiUrl, string more = "") => PutMember("pg-b", $$"""
        {"conn_url":"postgres://10.1.0.12:5432/postgres","api_url":"{{apiUrl}}","state":"running",
         "role":"replica","version":"4.1.4","xlog_location":117440840,"receive_lsn":117440840,"replay_lsn":117440840,
         "replication_state":"streaming","timeline":4{{more}}}
        """);

    public void PutMember(string name, string json) => Dcs.Put(ClusterKeys.Member(name), json);

    /// <summary>What a switch of the leader to <paramref name="name"/> leaves in the DCS.</summary>
    public void HandOverTo(string name)
    {
        Dcs.Delete(ClusterKeys.Leader);
        Dcs.Put(ClusterKeys.Leader, name);
        Dcs.Put(ClusterKeys.Failover, KeyWriter.NoFailover);
        PutMember(name, """
            {"conn_url":"postgres://10.1.0.12:5432/postgres","api_url":"http://10.1.0.12:8008/patroni","state":"running",
             "role":"primary","version":"4.1.4","xlog_location":117440999,"timeline":5}
            """);
    }

    /// <summary>
    /// Plays the agents: reacts to each request for a change of leader, outside the write that made it.
    /// </summary>
    /// <returns>The requests, as they come.</returns>
    public List<FailoverRequest> OnFailoverRequest(Action react)
    {
        var requests = new List<FailoverRequest>();
        Dcs.Committed = snapshot =>
        {
            if (snapshot.Failover is { } request && request.ModRevision == snapshot.Revision)
            {
                requests.Add(request);
                _ = Task.Run(react);
            }
        };
        return requests;
    }

    /// <summary>How a command ended.</summary>
    internal sealed record Ended(int ExitCode, string Output, string Error);

    /// <summary>A wall clock that stands still; timers run.</summary>
    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

        public override DateTimeOffset GetUtcNow() => now;
    }
}
