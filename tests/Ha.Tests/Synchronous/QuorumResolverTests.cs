using System.Collections.Immutable;
using CsCheck;
using Routing.Ha.Synchronous;
using Xunit;

namespace Routing.Ha.Tests.Synchronous;

public sealed class QuorumResolverTests
{
    /// <summary>
    /// quorum; voters; count; names; confirmed; active; wanted → D = publish (quorum,voters), P = require
    /// (count,names), R = pause.
    /// </summary>
    [Theory]
    [InlineData("0;;0;;0;;1", "")]
    [InlineData("0;;0;;0;b;1", "P(1,b) R")]
    [InlineData("0;;1;b;1;b;1", "D(0,b)")]
    [InlineData("0;b;1;b;1;bc;1", "D(1,bc) P(1,bc)")]
    [InlineData("0;;0;;0;bc;2", "P(2,bc) R")]
    [InlineData("0;;2;bc;1;bc;2", "D(1,bc)")]
    [InlineData("2;bcd;1;bcd;3;bcd;2", "P(2,bcd) D(1,bcd)")]
    [InlineData("1;bcd;2;bcd;3;bcd;1", "D(2,bcd) P(1,bcd)")]
    [InlineData("2;bcd;1;bcd;2;bc;1", "P(1,bc) D(1,bc)")]
    [InlineData("0;bc;2;bc;1;b;2", "D(0,b) P(1,b)")]
    [InlineData("1;bc;1;bc;0;;1", "D(0,) P(0,)")]
    [InlineData("1;bc;1;bc;1;bd;1", "P(1,b) D(1,bd) P(1,bd)")]
    [InlineData("1;bc;2;bcd;3;bcd;2", "D(1,bcd)")]
    [InlineData("2;bcd;1;bc;2;bcd;1", "P(1,bcd)")]
    public void Steps_are_those_of_the_field(string situation, string steps) =>
        Assert.Equal(steps, Text(QuorumResolver.Steps(Parse(situation, leader: "a", self: "a"))));

    [Theory]
    [InlineData("1;bc;1;ac;0;;1", "D(1,ac)")]
    [InlineData("1;bc;1;ac;1;c;1", "D(1,ac) P(1,c) D(0,c)")]
    public void New_leader_gives_the_former_one_a_vote_and_waits_until_somebody_connects(
        string situation, string steps) =>
        Assert.Equal(steps, Text(QuorumResolver.Steps(Parse(situation, leader: "a", self: "b"))));

    [Theory]
    [InlineData("1;bc;0;;0;bc;1", "D(0,)")]           // the parameter was emptied by hand: nobody is sure any more
    [InlineData("0;bc;1;bc;2;bc;1", "D(1,bc)")]       // a quorum too small: raised to what the parameter proves
    public void Key_that_promises_too_much_is_repaired_first(string situation, string first) =>
        Assert.StartsWith(first, Text(QuorumResolver.Steps(Parse(situation, leader: "a", self: "a"))),
            StringComparison.Ordinal);

    [Fact]
    public void Voters_are_kept_while_nobody_confirmed_what_the_lost_one_may_have_acknowledged() =>
        Assert.Equal("R", Text(QuorumResolver.Steps(Parse("1;bc;1;b;0;b;1", leader: "a", self: "a"))));

    [Fact]
    public void Names_compare_without_case() =>
        Assert.Equal("", Text(QuorumResolver.Steps(Parse("1;BC;1;bC;2;bc;1", leader: "a", self: "A"))));

    [Fact]
    public void Safety_by_arithmetic_is_safety_by_looking_at_every_pair_of_sets() =>
        s_situations.Sample(
            s =>
            {
                var meets = Subsets(s.Voters, s.Quorum + 1)
                    .All(race => Subsets(s.Names, s.Count).All(ack => race.Overlaps(ack)));
                // Where there are fewer voters than a race needs, arithmetic may be stricter than need be, never laxer.
                Assert.True(meets || !s.IsSafe, Print(s));
                Assert.True(s.IsSafe || !meets || s.Quorum >= s.Voters.Count || s.Count > s.Names.Count, Print(s));
            },
            iter: 5_000);

    [Fact]
    public void Every_step_from_a_safe_situation_ends_in_a_safe_one() =>
        s_situations.Where(s => s.IsSafe).Sample(
            s =>
            {
                foreach (var step in QuorumResolver.Steps(s))
                {
                    s = QuorumResolver.Apply(s, step);
                    Assert.True(s.IsSafe, Print(s));
                    Assert.True(s.Voters.IsEmpty || s.Quorum < s.Voters.Count, Print(s));
                }
            },
            iter: 20_000);

    [Fact]
    public void Any_situation_safe_or_not_reaches_the_steady_state() =>
        s_situations.Sample(
            start =>
            {
                var s = start;
                for (var runs = 0; runs < 40; runs++)
                {
                    var steps = QuorumResolver.Steps(s);
                    if (!steps.IsEmpty)
                    {
                        s = QuorumResolver.Apply(s, steps[0]);   // one step, then a crash
                    }
                    s = s with { Confirmed = s.Names.Intersect(s.Active).Count };   // and those that stream catch up
                }
                Assert.Empty(QuorumResolver.Steps(s));
                Assert.True(s.Voters.SetEquals(s.Active) && s.Names.SetEquals(s.Active),
                    $"{Print(start)} → {Print(s)}");
                Assert.Equal(Math.Min(s.Wanted, s.Active.Count), s.Count);
                Assert.Equal(s.Active.Count - s.Count, s.Quorum);
            },
            iter: 20_000);

    private static readonly Gen<ImmutableSortedSet<string>> s_names =
        Gen.Int[0, 31].Select(bits => Set(string.Concat("bcdef".Where((_, i) => (bits >> i & 1) == 1))));

    private static readonly Gen<QuorumSituation> s_situations =
        from voters in s_names
        from names in s_names
        from active in s_names
        from quorum in Gen.Int[0, Math.Max(0, voters.Count - 1)]
        from count in Gen.Int[Math.Min(1, names.Count), names.Count]
        from confirmed in Gen.Int[0, names.Intersect(active).Count]
        from wanted in Gen.Int[1, 4]
        select new QuorumSituation
        {
            Self = "a", Leader = "a", Quorum = quorum, Voters = voters, Count = count, Names = names,
            Confirmed = confirmed, Active = active, Wanted = wanted,
        };

    private static QuorumSituation Parse(string text, string leader, string self)
    {
        var f = text.Split(';');
        return new QuorumSituation
        {
            Self = self, Leader = leader, Quorum = int.Parse(f[0]), Voters = Set(f[1]), Count = int.Parse(f[2]),
            Names = Set(f[3]),
            Confirmed = int.Parse(f[4]), Active = Set(f[5]), Wanted = int.Parse(f[6]),
        };
    }

    private static string Text(IEnumerable<QuorumStep> steps) => string.Join(' ', steps.Select(step => step switch
    {
        QuorumStep.Publish p => $"D({p.Quorum},{string.Concat(p.Voters)})",
        QuorumStep.Require r => $"P({r.Count},{string.Concat(r.Names)})",
        _ => "R",
    }));

    private static string Print(QuorumSituation s) =>
        $"{s.Quorum};{string.Concat(s.Voters)};{s.Count};{string.Concat(s.Names)};{s.Confirmed};"
        + $"{string.Concat(s.Active)};{s.Wanted}";

    private static IEnumerable<HashSet<string>> Subsets(ImmutableSortedSet<string> set, int size) =>
        from bits in Enumerable.Range(0, 1 << set.Count)
        where int.PopCount(bits) == size
        select set.Where((_, i) => (bits >> i & 1) == 1).ToHashSet(StringComparer.OrdinalIgnoreCase);

    private static ImmutableSortedSet<string> Set(string letters) =>
        ImmutableSortedSet.CreateRange(StringComparer.OrdinalIgnoreCase, letters.Select(c => c.ToString()));
}
