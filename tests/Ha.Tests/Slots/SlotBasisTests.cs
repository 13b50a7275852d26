using System.Collections.Immutable;
using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests.Slots;

/// <summary>What slots are kept by: the DCS, the failsafe exchange, or nothing.</summary>
public sealed class SlotBasisTests
{
    private static readonly LeaseView s_held =
        new(true, new Term(50), TimeSpan.FromSeconds(-1), false, TimeSpan.FromSeconds(30));

    [Fact]
    public void As_long_as_the_DCS_tells_of_a_leader_its_word_counts()
    {
        var o = Standby("{}", isLive: true, leader: "b");

        Assert.Equal(new SlotBasis(o.Cluster!, DcsIsSilent: false), SlotBasis.Of(o));
    }

    [Fact]
    public void Without_failsafe_mode_no_slot_is_touched_while_the_DCS_is_silent()
    {
        Assert.Null(SlotBasis.Of(Told(Standby("{}", isLive: false, leader: "b"))));
        Assert.Null(SlotBasis.Of(Leader("{}", confirmed: 20)));
    }

    [Theory]
    [InlineData(false, "b")]   // nobody hears the DCS: the last key that it showed is still there
    [InlineData(true, null)]   // the leader alone is cut off, and its key has ended
    public void A_standby_goes_by_what_the_leader_has_told_it(bool isLive, string? leader)
    {
        var o = Told(Standby("""{"failsafe_mode":true}""", isLive, leader));
        if (leader is null)
        {
            o = o with { Cluster = o.Cluster! with { Members = o.Cluster.Members.Remove("b") } };
        }

        var basis = SlotBasis.Of(o)!;

        Assert.True(basis.DcsIsSilent);
        Assert.Equal("b", basis.Cluster.Leader!.Holder);
        Assert.Equal(Role.Primary, basis.Cluster.LeaderMember!.Role);
        Assert.Equal(new Lsn(180), basis.Cluster.Status.Slots["c"]);
        Assert.Equal(o.Cluster!.Status.Optime, basis.Cluster.Status.Optime);
    }

    [Fact]
    public void What_was_told_counts_as_long_as_the_consent()
    {
        var o = Told(Standby("""{"failsafe_mode":true}""", isLive: false, leader: "b"));

        Assert.Null(SlotBasis.Of(o with { Failsafe = o.Failsafe with { PingLeft = TimeSpan.Zero } }));
        Assert.Null(SlotBasis.Of(o with { Failsafe = o.Failsafe with { PingSlots = null } }));
        Assert.Null(SlotBasis.Of(o with { Failsafe = default }));
    }

    [Theory]
    [InlineData(20, true)]
    [InlineData(1, false)]   // it is about to stop
    public void A_leader_goes_by_the_positions_that_its_members_answered_with(int confirmed, bool expected)
    {
        var o = Leader("""{"failsafe_mode":true}""", confirmed);

        var basis = SlotBasis.Of(o);

        Assert.Equal(expected, basis is { DcsIsSilent: true });
        if (basis is not null)
        {
            Assert.Equal((new Lsn(190), new Lsn(190)),
                (basis.Cluster.Members["c"].ReceiveLsn, basis.Cluster.Members["c"].ReplayLsn));
            Assert.Equal(o.Cluster!.Members["b"], basis.Cluster.Members["b"]);
            Assert.Equal(o.Cluster.Members.Keys, basis.Cluster.Members.Keys);
        }
    }

    private static Observation Standby(string config, bool isLive, string? leader) =>
        Every.Of(Every.Server(ServerState.Running, isPrimary: false), leader, default, isLive,
            config: Every.Config(config));

    private static Observation Told(Observation o) => o with
    {
        Failsafe = new FailsafeView(default, null, "b",
            TimeSpan.FromSeconds(3)) { PingSlots = LeaderStatus.None.Slots.Add("c", new Lsn(180)) },
    };

    private static Observation Leader(string config, int confirmed)
    {
        var o = Every.Of(Every.Server(ServerState.Running, isPrimary: true), "a", s_held, isLive: false,
            config: Every.Config(config));
        return o with
        {
            Failsafe = new FailsafeView(TimeSpan.FromSeconds(confirmed), o.Now, null, default)
            {
                Positions =
                    ImmutableSortedDictionary<string, Lsn>.Empty.Add("c", new Lsn(190)).Add("stranger", new Lsn(1)),
            },
        };
    }
}
