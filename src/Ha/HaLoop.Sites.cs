namespace Routing.Ha;

// Sites: a cluster that spans data centres stays in the one that it was led from, as long as nothing is lost by it.
public static partial class HaLoop
{
    /// <summary>The site of a member, present or departed; null: it tells none.</summary>
    private static string? SiteOf(Observation o, string member) =>
        member == o.Self ? o.Options.Site
        : (o.Cluster!.Members.GetValueOrDefault(member)
            ?? o.Memory.Members.Departed.GetValueOrDefault(member)?.Member)?.Site;

    /// <summary>The site that the cluster was led from last; null: it is not known, or that leader had none.</summary>
    private static string? LastSite(Observation o) =>
        o.Cluster!.Status.CurrentSite ?? (o.Memory.Members.Leader is { } leader ? SiteOf(o, leader) : null);

    /// <summary>
    /// When a site's turn comes in a race, 0 first. Without a request it is that of the last leader's site, and then
    /// that of all others. A switchover to a site begins with that one, and ends with the last leader's.
    /// </summary>
    /// <remarks>
    /// It decides among members with equal WAL alone, and for one ttl: then the cluster needs a leader more than one in
    /// the right place. Members with an older Patroni know no sites, and may leave the key to us.
    /// </remarks>
    private static int SiteTurn(Observation o, string? site)
    {
        if (!IsEarly(o))
        {
            return 0;
        }
        var last = LastSite(o);
        return o.Cluster!.Failover is { IsSwitchover: true, Candidate: null, Site: { } wanted }
            ? site == wanted ? 0 : site is null || site != last ? 1 : 2
            : last is null || site == last ? 0 : 1;
    }
}
