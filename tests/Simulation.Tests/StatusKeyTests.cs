using Routing.Agent.Loop;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.TestKit;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>
/// The published position never goes back within a history: it is what bars a standby that lacks too much.
/// </summary>
public sealed class StatusKeyTests
{
    private readonly InMemoryDcs _dcs = new(TimeProvider.System);
    private readonly InMemoryClusterStore _store;
    private readonly StatusKey _key;
    private readonly Term _term;

    public StatusKeyTests()
    {
        _store = _dcs.Connect("a");
        _key = new StatusKey(_store, "a");
        _dcs.Put(ClusterKeys.Leader, "a");
        _term = _dcs.Snapshot.Leader!.Term;
    }

    private Lsn Published => _dcs.Snapshot.Status.Optime;

    [Fact]
    public async Task What_was_published_is_not_lowered()
    {
        await PublishAsync(900);
        await PublishAsync(150);   // of a checkpoint, after a stop in haste

        Assert.Equal(new Lsn(900), Published);
        await PublishAsync(901);
        Assert.Equal(new Lsn(901), Published);
    }

    [Fact]
    public async Task Nor_by_an_agent_that_was_started_anew()
    {
        await PublishAsync(900);

        await new StatusKey(_store, "a").PublishAsync(At(150), _dcs.Snapshot, _term, default, CancellationToken.None);

        Assert.Equal(new Lsn(900), Published);
    }

    [Fact]
    public async Task Nor_when_the_snapshot_is_older_than_the_last_write()
    {
        var old = _dcs.Snapshot;
        await PublishAsync(900);

        await _key.PublishAsync(At(150), old, _term, default, CancellationToken.None);

        Assert.Equal(new Lsn(900), Published);
    }

    [Fact]
    public async Task Nor_in_a_later_term_of_the_same_history()
    {
        await PublishAsync(900);
        var next = NextTerm("a");

        await _key.PublishAsync(At(150), _dcs.Snapshot, next, promotedIn: default, CancellationToken.None);

        Assert.Equal(new Lsn(900), Published);
    }

    /// <summary>
    /// A failover may go to a standby that lagged: its history forked off before the published position.
    /// </summary>
    [Fact]
    public async Task A_member_that_was_promoted_publishes_its_own_position()
    {
        _dcs.Put(ClusterKeys.Status, KeyWriter.Status(At(900)));
        var next = NextTerm("a");

        await _key.PublishAsync(At(700), _dcs.Snapshot, next, promotedIn: next, CancellationToken.None);
        Assert.Equal(new Lsn(700), Published);

        await _key.PublishAsync(At(150), _dcs.Snapshot, next, promotedIn: next, CancellationToken.None);
        Assert.Equal(new Lsn(700), Published);
    }

    [Fact]
    public async Task A_write_of_an_earlier_leader_that_comes_late_changes_nothing()
    {
        await PublishAsync(900);
        var old = _dcs.Snapshot;
        NextTerm("b");
        _dcs.Put(ClusterKeys.Status, KeyWriter.Status(At(700)));

        var late = await _key.PublishAsync(At(950), old, _term, default, CancellationToken.None);

        Assert.Equal((WriteStatus.Conflict, new Lsn(700)), (late.Status, Published));
    }

    [Fact]
    public async Task What_somebody_else_wrote_meanwhile_is_read_first()
    {
        await PublishAsync(900);
        var old = _dcs.Snapshot;
        _dcs.Put(ClusterKeys.Status, KeyWriter.Status(At(950)));

        var outcome = await _key.PublishAsync(At(920), old, _term, default, CancellationToken.None);

        Assert.True(outcome.IsDone);
        Assert.Equal(new Lsn(950), Published);
    }

    [Fact]
    public async Task Nothing_new_is_not_written()
    {
        await PublishAsync(900);
        var revision = _dcs.Snapshot.Revision;

        Assert.Equal(new WriteOutcome(WriteStatus.Done), await PublishAsync(900));
        Assert.Equal(revision, _dcs.Snapshot.Revision);
    }

    [Fact]
    public async Task A_key_that_somebody_deleted_is_made_again()
    {
        await PublishAsync(900);
        _dcs.Delete(ClusterKeys.Status);

        await PublishAsync(910);

        Assert.Equal(new Lsn(910), Published);
    }

    /// <summary>A stop by request may take minutes, in which the slots' consumers go on.</summary>
    [Fact]
    public async Task The_last_position_leaves_the_slots_as_they_were_published_last()
    {
        await _key.PublishAsync(WithSlot(900, 500), _dcs.Snapshot, _term, default, CancellationToken.None);
        var atTheBegin = _dcs.Snapshot;
        await _key.PublishAsync(WithSlot(910, 600), atTheBegin, _term, default, CancellationToken.None);

        await _key.PublishLastAsync(new Lsn(920), null, atTheBegin, _term, default, CancellationToken.None);

        Assert.Equal((new Lsn(920), new Lsn(600)), (Published, _dcs.Snapshot.Status.Slots["consumer"]));
    }

    [Fact]
    public async Task An_agent_that_was_started_anew_leaves_the_slots_as_it_has_read_them()
    {
        await _key.PublishAsync(WithSlot(900, 500), _dcs.Snapshot, _term, default, CancellationToken.None);

        await new StatusKey(_store, "a").PublishLastAsync(
            new Lsn(920), null, _dcs.Snapshot, _term, default, CancellationToken.None);

        Assert.Equal((new Lsn(920), new Lsn(500)), (Published, _dcs.Snapshot.Status.Slots["consumer"]));
    }

    private static LeaderStatus WithSlot(ulong position, ulong slot)
    {
        var status = At(position);
        return status with { Slots = status.Slots.SetItem("consumer", new Lsn(slot)) };
    }

    private static LeaderStatus At(ulong position) => LeaderStatus.None with { Optime = new Lsn(position) };

    private Term NextTerm(string leader)
    {
        _dcs.Delete(ClusterKeys.Leader);
        _dcs.Put(ClusterKeys.Leader, leader);
        return _dcs.Snapshot.Leader!.Term;
    }

    private Task<WriteOutcome> PublishAsync(ulong position) =>
        _key.PublishAsync(At(position), _dcs.Snapshot, _term, default, CancellationToken.None);
}
