using System.Data.Common;
using Npgsql;

namespace Routing.Driver;

/// <summary>
/// Reads that see one's own writes, for one user or request: remembers the latest token, and opens every connection
/// with it.
/// </summary>
/// <remarks>
/// Made for a scope (a request); the token may be carried on to the next one in a cookie or header. Thread-safe.
/// </remarks>
/// <param name="source">The data source; it stays the caller's.</param>
public sealed class CausalDataSource(RoutingDataSource source) : DbDataSource
{
    private readonly Lock _gate = new();
    private CausalToken _token;

    /// <summary>The latest point that was observed.</summary>
    public CausalToken Token
    {
        get
        {
            lock (_gate)
            {
                return _token;
            }
        }
    }

    /// <inheritdoc/>
    public override string ConnectionString => source.ConnectionString;

    /// <summary>
    /// Takes note of a token from elsewhere; an earlier one than <see cref="Token"/> changes nothing.
    /// </summary>
    public void Observe(CausalToken token)
    {
        lock (_gate)
        {
            _token = CausalToken.Max(_token, token);
        }
    }

    /// <summary>Takes note of what was committed on this connection (and by everybody else until now).</summary>
    public async ValueTask<CausalToken> ObserveAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken = default)
    {
        Observe(await RoutingDataSource.CaptureTokenAsync(connection, cancellationToken).ConfigureAwait(false));
        return Token;
    }

    /// <summary>Opens a connection for reads that see everything up to <see cref="Token"/>.</summary>
    /// <exception cref="NoHostException">None could be had in time.</exception>
    public new ValueTask<NpgsqlConnection> OpenConnectionAsync(CancellationToken cancellationToken = default) =>
        source.OpenConnectionAsync(Token, cancellationToken);

    /// <summary>
    /// Not to be had: a closed connection can't promise what its server has replayed when it is opened.
    /// </summary>
    protected override DbConnection CreateDbConnection() =>
        throw new NotSupportedException("A causal read is checked when it is opened: use OpenConnectionAsync.");

    /// <summary>Opens a connection for reads; blocks the thread.</summary>
    protected override DbConnection OpenDbConnection() =>
        Task.Run(async () => await OpenConnectionAsync().ConfigureAwait(false)).GetAwaiter().GetResult();

    /// <inheritdoc/>
    protected override async ValueTask<DbConnection> OpenDbConnectionAsync(
        CancellationToken cancellationToken = default) =>
        await OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
}
