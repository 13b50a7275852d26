using Npgsql;
using Routing.Cluster.HostChoice;

namespace Routing.Driver.Routes;

/// <summary>What Npgsql's words for a target mean to the host choice.</summary>
internal static class Targets
{
    /// <summary>How many there are.</summary>
    public const int Count = (int)TargetSessionAttributes.PreferStandby + 1;

    /// <summary>What is wanted of the cluster.</summary>
    public static HostRequest RequestFor(TargetSessionAttributes target, RoutingOptions options)
    {
        var role = target switch
        {
            TargetSessionAttributes.Primary or TargetSessionAttributes.ReadWrite => WantedRole.Primary,
            TargetSessionAttributes.Standby or TargetSessionAttributes.ReadOnly => WantedRole.Replica,
            TargetSessionAttributes.PreferPrimary => WantedRole.PreferPrimary,
            TargetSessionAttributes.PreferStandby => WantedRole.PreferReplica,
            TargetSessionAttributes.Any => WantedRole.Any,
            _ => throw new ArgumentOutOfRangeException(nameof(target), target, "No such target."),
        };
        return role == WantedRole.Primary
            ? new HostRequest { Role = role }
            : new HostRequest
            {
                Role = role,
                Policy = options.ReadPolicy switch
                {
                    ReadPolicy.RoundRobin => HostPolicy.RoundRobin,
                    ReadPolicy.RandomOfTwo => HostPolicy.RandomOfTwo,
                    _ => HostPolicy.LeastConnections,
                },
                MaximumLagBytes = options.MaximumLagBytes,
                Zone = options.Zone,
                ZoneTag = options.ZoneTag,
                RequiredTags = [.. options.RequiredTags],
                Fallback = options.ReadFallback switch
                {
                    ReadFallback.WhenEmpty => LeaderFallback.WhenEmpty,
                    ReadFallback.Always => LeaderFallback.Always,
                    _ => LeaderFallback.Never,
                },
            };
    }

    /// <summary>Whether connections for this target must be to a server that accepts writes.</summary>
    public static bool MustBePrimary(TargetSessionAttributes target) =>
        target is TargetSessionAttributes.Primary or TargetSessionAttributes.ReadWrite;

    /// <summary>The word as libpq and Npgsql write it.</summary>
    public static string Word(TargetSessionAttributes target) => target switch
    {
        TargetSessionAttributes.Primary => "primary",
        TargetSessionAttributes.ReadWrite => "read-write",
        TargetSessionAttributes.Standby => "standby",
        TargetSessionAttributes.ReadOnly => "read-only",
        TargetSessionAttributes.PreferPrimary => "prefer-primary",
        TargetSessionAttributes.PreferStandby => "prefer-standby",
        _ => "any",
    };
}
