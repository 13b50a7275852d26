using System.Text.Json.Nodes;
using Routing.Integration.Tests.Tools;
using Routing.TestKit;

namespace Routing.Integration.Tests.Migration;

/// <summary>Members of ours and members that run Patroni in one cluster, under a client that writes.</summary>
public sealed class MixedClusterTests
{
    /// <summary>Patroni's series, the members (R: ours, P: Patroni), the mode.</summary>
    public static TheoryData<string, string, string> Clusters
    {
        get
        {
            var rows = new TheoryData<string, string, string> { { "3", "RPR", "asynchronous" } };
            if (MixedCluster.IsFull)
            {
                foreach (var package in PatroniPackage.All)
                {
                    rows.Add(package.Series, "PRP", "asynchronous");
                    rows.Add(package.Series, "RPR", "synchronous");
                    rows.Add(package.Series, "PRP", "synchronous");
                }
            }
            if (PatroniPackage.Newer is { } newer)
            {
                rows.Add(newer.Series, "RPR", "quorum");
                rows.Add(newer.Series, "PRP", "quorum");
            }
            return rows;
        }
    }

    [Theory]
    [MemberData(nameof(Clusters))]
    public async Task Either_kind_leads_and_follows_and_is_driven_by_either_tool(
        string series, string members, string mode)
    {
        var package = PatroniPackage.Of(series);
        await using var cluster = await MixedCluster.StartAsync(package, members, MixedCluster.Mode(mode));
        using var patronictl = new Patronictl(cluster, package);
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
        var (first, second, third) = (cluster.Nodes[0], cluster.Nodes[1], cluster.Nodes[2]);

        // Both tools tell of the same members.
        Assert.Equal(first, await ReadyAsync());
        var theirs = await patronictl.ListAsync();
        var ours = JsonNode.Parse(await CtlAsync("list", "-f", "json"))!.AsArray();
        Assert.Equal(
            theirs.Select(row => ((string?)row["Member"], (string?)row["Host"], row["TL"]?.ToString())),
            ours.Select(row => ((string?)row!["Member"], (string?)row["Host"], row["TL"]?.ToString())));

        // Either tool hands the leadership to the other kind and back.
        await CtlAsync("switchover", "--leader", first.Name, "--candidate", second.Name, "--force");
        Assert.Equal(second, await ReadyAsync());
        await patronictl.DoneAsync(
            "edit-config", cluster.Scope, "-q", "--force", "-s", "postgresql.parameters.work_mem=5MB");
        await EverywhereAsync("work_mem", "5MB");
        await CtlAsync("edit-config", "-q", "--force", "-s", "postgresql.parameters.work_mem=6MB");
        await EverywhereAsync("work_mem", "6MB");

        // Either tool restarts what runs the other agent.
        var before = cluster.Nodes.ToDictionary(node => node, node => node.PostmasterPid);
        await CtlAsync("restart", cluster.Scope, second.Name, "--force");
        await patronictl.DoneAsync("restart", cluster.Scope, first.Name, "--force");
        Assert.Equal(second, await ReadyAsync());
        Assert.All([first, second], node => Assert.NotEqual(before[node], node.PostmasterPid));

        if (MixedCluster.IsFull)
        {
            // A pause by one tool is ended by the other.
            await patronictl.DoneAsync("pause", "--wait", cluster.Scope);
            Assert.Contains("Maintenance mode: on", await CtlAsync("list"), StringComparison.Ordinal);
            await CtlAsync("resume", "--wait");
            await CtlAsync("pause", "--wait");
            Assert.Contains("Maintenance mode: on", await patronictl.DoneAsync("list", cluster.Scope),
                StringComparison.Ordinal);
            await patronictl.DoneAsync("resume", "--wait", cluster.Scope);

            // Either tool copies anew what runs the other agent.
            await patronictl.DoneAsync("reinit", cluster.Scope, first.Name, "--force", "--wait");
            Assert.Equal(second, await ReadyAsync());
        }

        await patronictl.DoneAsync(
            "switchover", cluster.Scope, "--leader", second.Name, "--candidate", third.Name, "--force");
        Assert.Equal(third, await ReadyAsync());
        if (MixedCluster.IsFull)
        {
            await CtlAsync("reinit", cluster.Scope, second.Name, "--force", "--wait");
            Assert.Equal(third, await ReadyAsync());
        }

        await writer.MoreAsync(20);
        await writer.StopAsync();
        Assert.Empty(await writer.MissingOnAsync(third));

        Task<TestNode> ReadyAsync() => cluster.ReadyAsync(mode);

        Task EverywhereAsync(string parameter, string value) => cluster.UntilAsync(
            async () =>
            {
                foreach (var node in cluster.Nodes)
                {
                    if (await node.SqlAsync($"SHOW {parameter}") != value)
                    {
                        return false;
                    }
                }
                return true;
            },
            $"every member has {parameter} = {value}");

        async Task<string> CtlAsync(params string[] command)
        {
            var (code, output) = await cluster.CtlAsync(command);
            Assert.True(code == 0, $"routingctl {string.Join(' ', command)}: exit code {code}: {output}");
            return output;
        }
    }
}
