using System.Collections.Immutable;

namespace Routing.Cluster.HostChoice;

/// <summary>
/// The members that serve one request at one snapshot, best tier first. Computed once for each snapshot, picked from
/// often.
/// </summary>
public sealed class HostSet
{
    /// <summary>
    /// All members that fit, by tier: preferred zone first, then others, then what the fallback allows.
    /// </summary>
    public ImmutableArray<Member> Members { get; init; } = [];

    /// <summary>Where each tier ends in <see cref="Members"/>.</summary>
    public ImmutableArray<int> TierEnds { get; init; } = [];

    /// <summary>Every member of the cluster with the reason why it fits or does not.</summary>
    public ImmutableArray<HostVerdict> Verdicts { get; init; } = [];

    /// <summary>The member that may be written to at this snapshot; null: none.</summary>
    public Member? Leader { get; init; }

    /// <summary>The term of the leader key in the snapshot; 0 without one.</summary>
    public Term Term { get; init; }

    /// <summary>Picks one. Allocates nothing.</summary>
    /// <param name="policy">How.</param>
    /// <param name="loads">What is known of each.</param>
    /// <param name="turn">A number that grows with each pick, for turns.</param>
    /// <param name="random">A random number, for the draw of two.</param>
    /// <returns>
    /// The place in <see cref="Members"/>, or -1. The first tier that has a member in good standing counts; members
    /// that are out are taken only when all are.
    /// </returns>
    public int Pick<TLoads>(HostPolicy policy, in TLoads loads, uint turn, uint random)
        where TLoads : struct, IHostLoads
    {
        var start = 0;
        foreach (var end in TierEnds)
        {
            if (PickWithin(start, end, policy, loads, turn, random, mayBeOut: false) is >= 0 and var found)
            {
                return found;
            }
            start = end;
        }
        return PickWithin(0, Members.Length, policy, loads, turn, random, mayBeOut: true);
    }

    private static int PickWithin<TLoads>(
        int start, int end, HostPolicy policy, in TLoads loads, uint turn, uint random, bool mayBeOut)
        where TLoads : struct, IHostLoads
    {
        var usable = 0;
        for (var at = start; at < end; at++)
        {
            usable += IsUsable(loads[at], mayBeOut) ? 1 : 0;
        }
        if (usable == 0)
        {
            return -1;
        }
        switch (policy)
        {
            case HostPolicy.RoundRobin:
                return Nth(start, end, loads, (int)(turn % (uint)usable), mayBeOut);
            case HostPolicy.RandomOfTwo when usable > 1:
                var first = (int)((random & 0xFFFF) % (uint)usable);
                var second = (int)((random >> 16) % (uint)(usable - 1));
                var one = Nth(start, end, loads, first, mayBeOut);
                var other = Nth(start, end, loads, second >= first ? second + 1 : second, mayBeOut);
                return other >= 0 && Burden(loads[other]) < Burden(loads[one]) ? other : one;
            default:
                // From a place that moves on with each pick, so that equals take turns.
                var best = -1;
                var least = double.MaxValue;
                for (var count = 0; count < end - start; count++)
                {
                    var at = start + (int)((turn + (uint)count) % (uint)(end - start));
                    if (IsUsable(loads[at], mayBeOut) && Burden(loads[at]) < least)
                    {
                        (best, least) = (at, Burden(loads[at]));
                    }
                }
                return best;
        }
    }

    // The loads are others' to change while we look: when there are fewer by now, it is the last of them, or -1.
    private static int Nth<TLoads>(int start, int end, in TLoads loads, int wanted, bool mayBeOut)
        where TLoads : struct, IHostLoads
    {
        var last = -1;
        for (var at = start; at < end && wanted >= 0; at++)
        {
            if (IsUsable(loads[at], mayBeOut))
            {
                last = at;
                wanted--;
            }
        }
        return last;
    }

    private static bool IsUsable(in HostLoad load, bool mayBeOut) => !load.IsRefused && (mayBeOut || !load.IsOut);

    private static double Burden(in HostLoad load) => (load.Busy + 1) / Math.Clamp(load.Weight, 0.01, 1);
}
