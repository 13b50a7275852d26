using Routing.Dcs;

namespace Routing.Proxy.Routes;

/// <summary>What this proxy has seen of the members, by name. Guarded by the router's lock.</summary>
internal sealed class HealthBook(TimeProvider time)
{
    private static readonly TimeSpan s_refusedFor = TimeSpan.FromSeconds(2);

    private readonly Dictionary<string, MemberRecord> _all = new(StringComparer.Ordinal);

    /// <summary>All members that were ever seen, by name.</summary>
    public IEnumerable<KeyValuePair<string, MemberRecord>> All => _all;

    /// <summary>The record of one member; an empty one is added for a member that was not seen yet.</summary>
    public MemberRecord Of(string member)
    {
        if (!_all.TryGetValue(member, out var health))
        {
            _all.Add(member, health = new MemberRecord());
        }
        return health;
    }

    /// <summary>The record of one member; null: it was not seen yet.</summary>
    public MemberRecord? Find(string member) => _all.GetValueOrDefault(member);

    /// <summary>Whether a member must not be used as a primary now.</summary>
    public bool IsRefused(MemberRecord health) => health.RefusedUntil > time.GetTimestamp();

    /// <summary>
    /// It said at login that it is in recovery: not used as a primary for a while, or until its key is written anew.
    /// </summary>
    public void Refuse(MemberRecord health, long revision)
    {
        health.RefusedUntil = time.TimestampAfter(s_refusedFor);
        health.RefusedAt = revision;
    }

    /// <summary>
    /// Takes note of a new table: slow start counts from the moment a member came (back) into some listener's set.
    /// </summary>
    public void Note(RouteTable table)
    {
        var fit = table.Listeners.Values.SelectMany(one => one.Hosts.Members).Select(one => one.Name)
            .ToHashSet(StringComparer.Ordinal);
        var isFirst = _all.Values.All(one => one.FitSince == 0);
        foreach (var (name, health) in _all)
        {
            var isFit = fit.Contains(name);
            if (isFit && !health.WasFit)
            {
                health.FitSince = isFirst ? 0 : time.GetTimestamp();
                health.Succeeded();
            }
            health.WasFit = isFit;
            if (health.RefusedUntil != 0
                && table.View.Snapshot.Members.GetValueOrDefault(name)?.ModRevision != health.RefusedAt)
            {
                health.RefusedUntil = 0;
            }
        }
    }
}
