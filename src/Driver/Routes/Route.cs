using Routing.Cluster.HostChoice;
using Routing.Driver.Members;

namespace Routing.Driver.Routes;

/// <summary>Where connections for one target go, by one picture of the cluster.</summary>
internal sealed class Route(HostPolicy policy, HostSet hosts, MemberPool[] pools)
{
    private uint _turn;

    public HostSet Hosts => hosts;

    /// <summary>Picks a member's pool; null: there is none. Allocates nothing.</summary>
    /// <param name="tried">Members that this caller could not connect to; they come last.</param>
    public MemberPool? Pick(HashSet<string>? tried = null)
    {
        if (pools.Length == 1)
        {
            return pools[0];
        }
        var turn = Interlocked.Increment(ref _turn);
        // The turn, well mixed, is random enough for a draw.
        var at = hosts.Pick(policy, new Loads(pools, tried), turn,
            unchecked(turn * 2_654_435_761u ^ (turn * 40_503u) << 16));
        return at < 0 ? null : pools[at];
    }

    /// <summary>Its first member's pool, always the same one; null: there is none.</summary>
    public MemberPool? First => pools.Length > 0 ? pools[0] : null;

    /// <summary>Whether a member is left that was not tried.</summary>
    /// <param name="tried">Those that were.</param>
    /// <param name="but">One that does not count either.</param>
    public bool HasUntried(HashSet<string> tried, MemberPool? but = null) =>
        Array.Exists(pools, pool => !ReferenceEquals(pool, but) && !tried.Contains(pool.Member));

    /// <summary>Whether the members of this route include a pool.</summary>
    public bool Serves(MemberPool pool) => Array.IndexOf(pools, pool) >= 0;

    private readonly struct Loads(MemberPool[] pools, HashSet<string>? tried) : IHostLoads
    {
        private const int LastOfAll = 1_000_000;   // among those that are out, too

        public HostLoad this[int index]
        {
            get
            {
                var isTried = tried?.Contains(pools[index].Member) == true;
                return new(pools[index].Busy + (isTried ? LastOfAll : 0), isTried || pools[index].Health.IsOut,
                    IsRefused: false);
            }
        }
    }
}
