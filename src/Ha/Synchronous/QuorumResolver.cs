using System.Collections.Immutable;

namespace Routing.Ha.Synchronous;

/// <summary>Where quorum replication stands, and what it shall become.</summary>
public sealed record QuorumSituation
{
    /// <summary>This member: the primary.</summary>
    public required string Self { get; init; }

    /// <summary>The owner named in the <c>sync</c> key; another one right after a change of leader.</summary>
    public required string Leader { get; init; }

    /// <summary>Published: how many other voters a candidate has to see.</summary>
    public required int Quorum { get; init; }

    /// <summary>Published: the voters, without the owner.</summary>
    public required ImmutableSortedSet<string> Voters { get; init; }

    /// <summary>In force: how many standbys a commit waits for.</summary>
    public required int Count { get; init; }

    /// <summary>In force: the standbys that count.</summary>
    public required ImmutableSortedSet<string> Names { get; init; }

    /// <summary>
    /// How many of them are known to hold every commit acknowledged before these names came into force.
    /// </summary>
    public required int Confirmed { get; init; }

    /// <summary>The standbys that stream and may be synchronous.</summary>
    public required ImmutableSortedSet<string> Active { get; init; }

    /// <summary>How many standbys a commit shall wait for; at least 1.</summary>
    public required int Wanted { get; init; }

    /// <summary>
    /// Whether every race that the voters allow meets every acknowledgement: no q + 1 voters are disjoint from k of the
    /// names. Without voters the owner alone can win.
    /// </summary>
    public bool IsSafe => Voters.IsEmpty || Voters.Union(Names).Count <= Quorum + Count;
}

/// <summary>One step from one safe situation to the next.</summary>
public abstract record QuorumStep
{
    private QuorumStep()
    {
    }

    /// <summary>Write the <c>sync</c> key.</summary>
    public sealed record Publish(string Leader, int Quorum, ImmutableSortedSet<string> Voters) : QuorumStep;

    /// <summary>Set <c>synchronous_standby_names</c>.</summary>
    public sealed record Require(int Count, ImmutableSortedSet<string> Names) : QuorumStep;

    /// <summary>Go on when standbys have caught up.</summary>
    public sealed record Pause : QuorumStep;
}

/// <summary>
/// Finds the way from one quorum to another, on which a crash between any two steps loses no acknowledged commit.
/// </summary>
/// <remarks>
/// <para>
/// Two places hold the agreement and can't be written together: the <c>sync</c> key says which members may be promoted
/// (one that sees q other voters with no more WAL), the parameter says what a commit waits for (k of the names). Any
/// q + 1 voters and any k names must have a member in common, after each single step.
/// </para>
/// <para>
/// The key also answers for commits acknowledged in the past. So a step that lets a smaller set of voters decide needs
/// standbys that are <i>confirmed</i>: known to hold all that was acknowledged before the present names came into
/// force.
/// </para>
/// </remarks>
public static class QuorumResolver
{
    // each rule moves the situation towards its goal; a test looks for the worst case
    private const int MostSteps = 64;

    /// <summary>
    /// The steps that lie ahead as things stand; empty when all is as wanted. Only the first has to be done now.
    /// </summary>
    public static ImmutableArray<QuorumStep> Steps(QuorumSituation start)
    {
        var steps = new List<QuorumStep>();
        var now = start;
        if (!Same(now.Leader, now.Self))
        {
            now = ChangeLeader(now, steps);
            if (now.Names.Intersect(now.Active).IsEmpty)
            {
                return [.. steps];   // no standby has connected to the new primary yet: none counts as gone
            }
        }
        while (Next(now) is { } step)
        {
            if (steps.Count > 0 && steps[^1].GetType() == step.GetType())
            {
                steps.RemoveAt(steps.Count - 1);   // no member acts on a value that is overwritten at once
            }
            steps.Add(step);
            if (step is QuorumStep.Pause || steps.Count > MostSteps)
            {
                break;
            }
            now = Apply(now, step);
        }
        return [.. steps];
    }

    /// <summary>The situation after a step.</summary>
    public static QuorumSituation Apply(QuorumSituation s, QuorumStep step) => step switch
    {
        QuorumStep.Publish p => s with { Leader = p.Leader, Quorum = p.Quorum, Voters = p.Voters },
        QuorumStep.Require r => s with { Count = r.Count, Names = r.Names },
        _ => s,
    };

    private static QuorumSituation ChangeLeader(QuorumSituation s, List<QuorumStep> steps)
    {
        var voters = s.Voters.Remove(s.Self).Add(s.Leader);
        if (s.Names.IsEmpty && voters.Count > s.Quorum)
        {
            steps.Add(new QuorumStep.Require(voters.Count - s.Quorum, voters));
            s = Apply(s, steps[^1]);
        }
        steps.Add(new QuorumStep.Publish(s.Self, s.Quorum, voters));
        return Apply(s, steps[^1]);
    }

    private static QuorumStep? Next(QuorumSituation s) => s switch
    {
        { Voters.IsEmpty: true } => Begin(s),
        _ when !s.IsSafe || s.Count == 0 => Repair(s),
        _ when s.Names.IsProperSubsetOf(s.Voters) => FinishWithMoreVoters(s),
        _ when s.Names.IsProperSupersetOf(s.Voters) => FinishWithMoreNames(s),
        _ when !s.Names.SetEquals(s.Voters) => Repair(s),
        _ => Relax(s) ?? RemoveGone(s) ?? AddNew(s) ?? ChangeCount(s),
    };

    /// <summary>
    /// The owner alone can win: the parameter may change freely, and voters come once a standby is confirmed.
    /// </summary>
    private static QuorumStep? Begin(QuorumSituation s)
    {
        var count = Math.Min(s.Wanted, s.Active.Count);
        if (count != s.Count || !s.Active.SetEquals(s.Names))
        {
            return new QuorumStep.Require(count, s.Active);
        }
        if (s.Active.IsEmpty)
        {
            return null;
        }
        return s.Confirmed == 0
            ? new QuorumStep.Pause()
            : new QuorumStep.Publish(s.Self, s.Active.Count - Math.Min(s.Count, s.Confirmed), s.Active);
    }

    /// <summary>
    /// Key and parameter do not fit together (another program changed one): publish what the parameter proves.
    /// </summary>
    private static QuorumStep.Publish Repair(QuorumSituation s) => s.Count == 0 || s.Confirmed == 0
        ? new QuorumStep.Publish(s.Self, 0, NameSet.Empty)
        : new QuorumStep.Publish(s.Self, s.Names.Count - Math.Min(s.Count, s.Confirmed), s.Names);

    private static QuorumStep? FinishWithMoreVoters(QuorumSituation s)
    {
        if (!s.Voters.Overlaps(s.Active))
        {
            return new QuorumStep.Publish(s.Self, 0, NameSet.Empty);
        }
        var gone = s.Voters.Except(s.Names).Except(s.Active);
        if (!gone.IsEmpty && Publish(s, s.Voters.Except(gone)) is { } evict)
        {
            return evict;
        }
        var add = s.Voters.Intersect(s.Active).Except(s.Names);
        if (!add.IsEmpty)
        {
            return new QuorumStep.Require(s.Count, s.Names.Union(add));
        }
        // Here voters are gone, but no standby is confirmed to hold what they may have acknowledged.
        return Publish(s, s.Voters.Union(s.Active)) is { } more && more.Voters.Count > s.Voters.Count
            ? more
            : new QuorumStep.Pause();
    }

    private static QuorumStep? FinishWithMoreNames(QuorumSituation s)
    {
        var add = s.Names.Except(s.Voters).Intersect(s.Active);
        if (!add.IsEmpty)
        {
            return Publish(s, s.Voters.Union(add)) ?? (QuorumStep)new QuorumStep.Pause();
        }
        return new QuorumStep.Require(Math.Min(s.Count, s.Voters.Count), s.Names.Intersect(s.Voters));
    }

    /// <summary>
    /// Reduces what an unfinished change has left larger than needed, in the key or in the parameter.
    /// </summary>
    private static QuorumStep? Relax(QuorumSituation s)
    {
        if (LeastQuorum(s, s.Voters) >= s.Quorum)
        {
            return null;
        }
        return s.Count > s.Wanted
            ? new QuorumStep.Require(Math.Max(s.Wanted, s.Voters.Count - s.Quorum), s.Names)
            : Publish(s, s.Voters);
    }

    private static QuorumStep? RemoveGone(QuorumSituation s)
    {
        var gone = s.Names.Except(s.Active);
        if (gone.IsEmpty)
        {
            return null;
        }
        if (gone.Count == s.Names.Count)
        {
            return new QuorumStep.Publish(s.Self, 0, NameSet.Empty);
        }
        var removable = Math.Min(s.Quorum, s.Names.Count - s.Count);
        if (removable > 0)
        {
            // Commits wait for k of fewer names first; then fewer voters have to be seen.
            var names = s.Names.Except(gone.Reverse().Take(removable));
            return new QuorumStep.Require(Math.Max(s.Count, Math.Min(s.Wanted, names.Count)), names);
        }
        // Every name has to acknowledge: the gone ones lose their vote first.
        var voters = s.Voters.Except(gone);
        var surplus = Math.Max(0, voters.Count - s.Wanted);
        return Publish(s, voters, atLeast: Math.Min(surplus, voters.Count - 1)) ?? (QuorumStep)new QuorumStep.Pause();
    }

    private static QuorumStep? AddNew(QuorumSituation s)
    {
        var join = s.Active.Except(s.Names);
        if (join.IsEmpty)
        {
            return null;
        }
        var missing = Math.Min(s.Wanted, s.Names.Count + join.Count) - s.Count;
        if (missing > 0)
        {
            var first = join.Take(missing).ToArray();
            return new QuorumStep.Require(s.Count + first.Length, s.Names.Union(first));
        }
        return Publish(s, s.Voters.Union(join));
    }

    private static QuorumStep? ChangeCount(QuorumSituation s)
    {
        var count = Math.Min(s.Wanted, s.Names.Count);
        if (count == s.Count)
        {
            return null;
        }
        var quorum = s.Voters.Count - count;
        return count > s.Count || s.Quorum >= quorum
            ? new QuorumStep.Require(count, s.Names)
            : new QuorumStep.Publish(s.Self, quorum, s.Voters);
    }

    /// <summary>
    /// Publishes the voters with the smallest quorum that is safe, or null when even that could never be reached.
    /// </summary>
    private static QuorumStep.Publish? Publish(QuorumSituation s, ImmutableSortedSet<string> voters, int atLeast = 0)
    {
        var quorum = Math.Max(atLeast, LeastQuorum(s, voters));
        return quorum < voters.Count ? new QuorumStep.Publish(s.Self, quorum, voters) : null;
    }

    /// <summary>
    /// For commits to come: it meets k of the names. For commits of the past: it meets one that is confirmed, or no
    /// fewer of the present voters decide than before.
    /// </summary>
    private static int LeastQuorum(QuorumSituation s, ImmutableSortedSet<string> voters) => Math.Max(
        voters.Union(s.Names).Count - s.Count,
        Math.Min(voters.Count - s.Confirmed, s.Quorum + voters.Except(s.Voters).Count));

    private static bool Same(string left, string right) =>
        string.Equals(left, right, StringComparison.OrdinalIgnoreCase);
}
