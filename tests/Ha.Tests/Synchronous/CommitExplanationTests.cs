using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Synchronous;
using Xunit;

namespace Routing.Ha.Tests.Synchronous;

/// <summary>What a commit waits for, and what the loss of a standby means for it, mode by mode.</summary>
public sealed class CommitExplanationTests
{
    [Fact]
    public void Without_a_mode_a_commit_waits_for_no_standby()
    {
        var wait = Explain("{}", "", Row("b", "async"));

        Assert.Equal(0, wait.WaitsFor);
        Assert.StartsWith(
            "A commit waits for no standby: synchronous_mode is off", wait.Text, StringComparison.Ordinal);
        Assert.Equal("Commits go on: they wait for no standby.", Assert.Single(wait.Standbys).IfLost);
    }

    [Theory]
    [InlineData("local")]
    [InlineData("off")]
    public void A_server_that_does_not_wait_says_so(string level)
    {
        var wait = Explain("""{"synchronous_mode":true}""", "b", level, Row("b", "sync"));

        Assert.Equal(0, wait.WaitsFor);
        Assert.Equal($"A commit waits for no standby: synchronous_commit is {level}.", wait.Text);
    }

    [Fact]
    public void In_priority_mode_another_standby_takes_the_place_of_the_lost_one()
    {
        var wait = Explain("""{"synchronous_mode":true}""", "b", Row("b", "sync", 190), Row("c", "async", 180));

        Assert.Equal(
            "A commit waits until b has flushed it (synchronous_commit is on).", wait.Text);
        Assert.Equal([("b", true, 10UL), ("c", false, 20UL)],
            wait.Standbys.Select(standby => (standby.Name, standby.Counts, standby.LagBytes!.Value)));
        Assert.Contains("until the leader's agent puts c in its place", wait.Standbys[0].IfLost,
            StringComparison.Ordinal);
        Assert.Equal("Commits go on: they do not wait for it.", wait.Standbys[1].IfLost);
    }

    [Theory]
    [InlineData(false, "from then on commits wait for no standby")]
    [InlineData(true, "synchronous_mode_strict is on")]
    public void The_last_standby_decides_by_strictness(bool strict, string consequence)
    {
        var config = $$"""{"synchronous_mode":true,"synchronous_mode_strict":{{(strict ? "true" : "false")}}}""";

        var wait = Explain(config, "b", Row("b", "sync"));

        Assert.Contains(consequence, Assert.Single(wait.Standbys).IfLost, StringComparison.Ordinal);
    }

    [Fact]
    public void A_quorum_goes_on_with_the_others()
    {
        var wait = Explain(
            """{"synchronous_mode":"quorum"}""", "ANY 1 (b,c)", Row("b", "quorum"), Row("c", "quorum"));

        Assert.Equal(SynchronousMode.Quorum, wait.Mode);
        Assert.Equal(1, wait.WaitsFor);
        Assert.Equal(
            "A commit waits until any 1 of b or c has flushed it (synchronous_commit is on).", wait.Text);
        Assert.Equal("Commits go on: 1 of c are enough.", wait.Standbys[0].IfLost);
    }

    [Fact]
    public void A_standby_that_is_named_and_away_is_shown_and_holds_commits_up()
    {
        var wait = Explain("""{"synchronous_mode":true}""", "2 (b,c)", Row("b", "sync"));

        Assert.EndsWith("Commits are waiting now: 1 of 2 needed are connected.", wait.Text, StringComparison.Ordinal);
        Assert.Equal(("c", "disconnected", false),
            (wait.Standbys[1].Name, wait.Standbys[1].State, wait.Standbys[1].Counts));
    }

    [Fact]
    public void The_level_of_the_commit_decides_which_position_counts()
    {
        var row = Row("b", "sync", 190) with { WriteLsn = new Lsn(200), ReplayLsn = new Lsn(150) };

        var wait = Explain("""{"synchronous_mode":true}""", "b", "remote_apply", row);

        Assert.Equal(50UL, wait.Standbys[0].LagBytes);
        Assert.StartsWith("A commit waits until b has replayed it", wait.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void With_nobody_left_in_strict_mode_every_commit_waits()
    {
        var wait = Explain(
            """{"synchronous_mode":true,"synchronous_mode_strict":true}""", SyncStandbyNames.Placeholder);

        Assert.Equal(
            "Commits wait until a standby streams: there is none, and synchronous_mode_strict is on.", wait.Text);
        Assert.Empty(wait.Standbys);
    }

    private static CommitWait Explain(string config, string names, params StandbyRow[] rows) =>
        Explain(config, names, "on", rows);

    private static CommitWait Explain(string config, string names, string level, params StandbyRow[] rows) =>
        CommitExplanation.Explain(
            Every.Server(ServerState.Running, isPrimary: true) with
            {
                SynchronousStandbyNames = names,
                SynchronousCommit = level,
                Standbys = [.. rows],
            },
            Every.Config(config),
            new[] { "a", "b", "c" }.ToImmutableSortedDictionary(
                name => name, name => Every.Member(name, Role.Replica), StringComparer.Ordinal));

    private static StandbyRow Row(string name, string syncState, ulong position = 200) => new(
        name, "replicator", null, "streaming", syncState, 1, new Lsn(position), new Lsn(position), new Lsn(position),
        new Lsn(position));
}
