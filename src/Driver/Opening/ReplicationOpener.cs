using Npgsql;
using Npgsql.Replication;

namespace Routing.Driver.Opening;

/// <summary>Opens connections for replication, which have no pool.</summary>
internal sealed class ReplicationOpener(ConnectionOpener opener)
{
    /// <summary>Opens a connection for replication to the member that an open for a target goes to.</summary>
    /// <param name="target">What it is for.</param>
    /// <param name="create">Makes the closed connection of a connection string.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NoHostException">
    /// No member could be had within <see cref="RoutingOptions.OpenTimeout"/>.
    /// </exception>
    public async ValueTask<T> OpenAsync<T>(
        TargetSessionAttributes target, Func<string, T> create, CancellationToken cancellationToken)
        where T : ReplicationConnection
    {
        string text;
        // The member answers, and has the right role.
        var ordinary = await opener.OpenAsync(target, cancellationToken).ConfigureAwait(false);
        await using (ordinary.ConfigureAwait(false))
        {
            // A clone's string holds the password, also where a provider gives it; the connection's own does not.
            var settings = new NpgsqlConnectionStringBuilder(ordinary.ConnectionString) { Pooling = false };
            var clone =
                await ordinary.CloneWithAsync(settings.ConnectionString, cancellationToken).ConfigureAwait(false);
            await using (clone.ConfigureAwait(false))
            {
                text = clone.ConnectionString;
            }
        }
        var replication = create(text);
        try
        {
            await replication.Open(cancellationToken).ConfigureAwait(false);
            return replication;
        }
        catch
        {
            await replication.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
