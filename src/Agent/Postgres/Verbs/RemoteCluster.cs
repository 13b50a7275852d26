using System.Collections.Immutable;
using System.Net.Sockets;
using Npgsql;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Asks the servers of the remote cluster that a standby cluster follows.</summary>
internal sealed class RemoteCluster(ServerContext context)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(10);

    /// <summary>What each of them is; all are asked at the same time.</summary>
    public async Task<ImmutableArray<RemoteServer>> AskAsync(
        ImmutableArray<HostPort> hosts, CancellationToken cancellationToken) =>
        [.. await Task.WhenAll(hosts.Select(host => AskAsync(host, cancellationToken)))];

    private async Task<RemoteServer> AskAsync(HostPort host, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(s_limit, context.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            await using var session = await ReplicationSession.OpenAsync(
                host, context.Users.Replication, context.Settings.Local.Name, either.Token);
            var system = await session.IdentifyAsync(either.Token);
            return new RemoteServer(host, null)
            {
                SystemId = system.SystemId,
                Timeline = system.Timeline,
                IsInRecovery = await session.IsInRecoveryAsync(either.Token),
                Position = system.Position,
            };
        }
        catch (Exception error) when (error is NpgsqlException or IOException or TimeoutException or SocketException
            || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return new RemoteServer(host, error is OperationCanceledException
                ? $"no answer within {s_limit.TotalSeconds:F0} s"
                : error.Message);
        }
    }
}
