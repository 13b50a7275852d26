using System.Collections.Immutable;

namespace Routing.Cluster;

/// <summary>The remote cluster that this one follows.</summary>
/// <param name="Host">
/// Its host, or several separated by commas; null: none, or this machine when a port is given.
/// </param>
/// <param name="Port">The port of every host; null: <see cref="Ports"/>, else 5432.</param>
/// <param name="RestoreCommand">Where WAL comes from that cannot be streamed; null: from nowhere else.</param>
/// <param name="PrimarySlotName">The slot that the standby leader uses there; null: none.</param>
/// <param name="CreateReplicaMethods">How the first member is made; empty: by <c>pg_basebackup</c>.</param>
/// <param name="ArchiveCleanupCommand">Told what is not needed any more of the archive; null: nothing is.</param>
/// <param name="RecoveryMinApplyDelay">How far the standby leader stays behind; null: not at all.</param>
public sealed record StandbyClusterConfig(
    string? Host, int? Port, string? RestoreCommand, string? PrimarySlotName,
    ImmutableArray<string> CreateReplicaMethods, string? ArchiveCleanupCommand, string? RecoveryMinApplyDelay)
{
    private const int DefaultPort = 5432;

    /// <summary>One port per host, where <c>port</c> lists several; else empty.</summary>
    public ImmutableArray<int> Ports { get; init; } = [];

    /// <summary>The remote servers, in the order in which they are tried; empty: there is an archive alone.</summary>
    public ImmutableArray<HostPort> Hosts
    {
        get
        {
            var hosts = (Host ?? (Port is null && Ports.IsEmpty ? "" : "localhost"))
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            return [.. hosts.Select((host, at) =>
                new HostPort(host, at < Ports.Length ? Ports[at] : Port ?? DefaultPort))];
        }
    }
}
