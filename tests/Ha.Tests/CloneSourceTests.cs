using System.Text.Json;
using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>A copy comes from a member that is meant for copies, lags little and has little to do.</summary>
public sealed class CloneSourceTests
{
    private static readonly Observation s_empty = Every
        .Of(new LocalPostgres { Data = DataDirectory.Empty }, "e", default)
        .With("e", e => e with { Role = Role.Primary, XlogLocation = new Lsn(Changes.End), Timeline = 4 });

    [Fact]
    public void Without_a_member_for_copies_it_is_the_leader() => Assert.Equal("e", Source(s_empty));

    [Theory]
    [InlineData(0UL, 0UL, "b")]
    [InlineData(15UL, 0UL, "b")]       // the positions are of different moments
    [InlineData(40UL, 0UL, "c")]
    [InlineData(40UL, 200UL, "b")]
    [InlineData(300UL, 200UL, "c")]
    [InlineData(300UL, 257UL, "e")]    // both lag too much: the leader
    public void The_one_that_lags_least_is_taken(ulong lagOfB, ulong lagOfC, string source) =>
        Assert.Equal(source, Source(s_empty.ForCopies("b", lagOfB).ForCopies("c", lagOfC)));

    [Fact]
    public void Of_equals_the_one_with_the_least_to_do_is_taken()
    {
        var o = s_empty.ForCopies("b", 0).ForCopies("c", 0);
        Assert.Equal("b", Source(o));

        var copied = o.With("d", d => d with { Routing = new RoutingExtension("1", true) { CopiesFrom = "b" } });
        Assert.Equal("c", Source(copied));
        // A copy weighs more than a standby that streams from there.
        Assert.Equal("c", Source(copied.With("f", f => f with
        {
            Routing = new RoutingExtension("1", true) { Upstream = "c" },
        })));
        Assert.Equal("c", Source(o.With("f", f => f with
        {
            Routing = new RoutingExtension("1", true) { Upstream = "b" },
        })));
        // What this member itself copied last does not count.
        Assert.Equal("b", Source(o.With("a", a => a with
        {
            Routing = new RoutingExtension("1", true) { CopiesFrom = "b" },
        })));
    }

    [Fact]
    public void Lag_weighs_more_than_load() =>
        Assert.Equal("b", Source(s_empty.ForCopies("b", 0).ForCopies("c", 100)
            .With("d", d => d with { Routing = new RoutingExtension("1", true) { CopiesFrom = "b" } })));

    /// <summary>Its data may have WAL that the leader does not have.</summary>
    [Fact]
    public void A_member_that_has_not_followed_the_leader_is_not_taken() =>
        Assert.Equal("e", Source(s_empty.ForCopies("b", 0).With("b", b => b with { Timeline = 3 })));

    [Fact]
    public void A_member_that_does_not_tell_its_position_is_taken() =>
        Assert.Equal("b", Source(s_empty.ForCopies("b", 0).With("b", b => b with { XlogLocation = null })));

    [Fact]
    public void After_a_copy_that_failed_the_next_one_is_tried()
    {
        var o = s_empty.ForCopies("b", 0).ForCopies("c", 0);

        Assert.Equal(["b", "c", "e", "b"], from failed in Enumerable.Range(0, 4)
            select Source(o with { Memory = o.Memory with { FailedClones = failed } }));
    }

    [Theory]
    [InlineData(JobKind.Clone, "b")]
    [InlineData(JobKind.Reinitialize, "b")]
    [InlineData(JobKind.Rewind, null)]
    public void A_member_tells_whom_it_copies(JobKind kind, string? published) => Assert.Equal(
        published,
        Published.CopiesFrom(s_empty with { Job = new JobView(kind, Every.Now, "started") { Source = "b" } }));

    private static string? Source(Observation o) =>
        Assert.IsType<HaAction.CopyMember>(Assert.Single(HaLoop.Decide(o).Actions), exactMatch: false).Source;
}

/// <summary>Small changes of an observation.</summary>
file static class Changes
{
    public const ulong End = 10_000UL << 20;

    private static readonly MemberTags s_forCopies =
        new(MemberTags.Empty.Values.Add("clonefrom", JsonElement.Parse("true")));

    public static Observation With(this Observation o, string name, Func<Member, Member> change) => o with
    {
        Cluster = o.Cluster! with
        {
            Members = o.Cluster.Members.SetItem(
                name, change(o.Cluster.Members.GetValueOrDefault(name) ?? Every.Member(name, Role.Replica))),
        },
    };

    public static Observation ForCopies(this Observation o, string name, ulong lag) =>
        o.With(name, member => member with
        {
            Tags = s_forCopies, XlogLocation = new Lsn(End - (lag << 20)), Timeline = 4,
        });
}
