using System.Data;
using System.Data.Common;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Npgsql;
using Npgsql.Replication;
using Routing.Driver.Causal;
using Routing.Driver.Members;
using Routing.Driver.Opening;
using Routing.Driver.Routes;
using Routing.Driver.Settings;
using Routing.Driver.UnitsOfWork;

namespace Routing.Driver;

/// <summary>
/// A data source that knows the cluster: connections are on the leader, or on a replica that fits, without anything in
/// between.
/// </summary>
/// <remarks>
/// <para>The connections are real <see cref="NpgsqlConnection"/>s. One pool for each member; the pool of a member that
/// does not lead any more is emptied at the moment of the change, and new connections go to the new leader.</para>
/// <para>While no member leads, <see cref="OpenConnectionAsync(CancellationToken)"/> waits. A closed connection from
/// <see cref="CreateConnection"/> belongs to the member that was right when it was made: prefer to open here.</para>
/// <para>All members are thread-safe.</para>
/// </remarks>
public sealed class RoutingDataSource : DbDataSource
{
    /// <summary>The name of the driver's <see cref="System.Diagnostics.Metrics.Meter"/>.</summary>
    public const string MeterName = "Routing.Driver";

    /// <summary>The name of the driver's <see cref="System.Diagnostics.ActivitySource"/>.</summary>
    public const string ActivitySourceName = "Routing.Driver";

    /// <summary>The category of the driver's log messages.</summary>
    public const string LoggerCategory = "Routing.Driver";

    // Connections to a type change that is not committed yet.
    private static readonly ConditionalWeakTable<NpgsqlConnection, object> s_changing = [];

    private readonly ClusterRouter _router;
    private readonly ConnectionOpener _opener;
    private readonly ReplicationOpener _replication;
    private readonly KeptConnections _kept;
    private readonly CausalReads _causal;
    private readonly UnitOfWorkRunner _units;
    private readonly Random _random;
    private readonly bool _isOwner;

    internal RoutingDataSource(ClusterRouter router, TargetSessionAttributes target, Random random, bool isOwner)
    {
        _router = router;
        _random = random;
        _isOwner = isOwner;
        Target = target;
        _opener = new ConnectionOpener(router);
        _replication = new ReplicationOpener(_opener);
        _kept = new KeptConnections(router, _opener, target);
        _causal = new CausalReads(router, _opener);
        _units = new UnitOfWorkRunner(router, _opener, random);
    }

    /// <summary>
    /// Raised after a change of leader, members, roles or states, or when the source of the topology falls silent or
    /// comes back.
    /// </summary>
    /// <remarks>
    /// Handlers run on another thread than the watch: a slow one delays the next event and nothing else. Changes that
    /// come close together are one event.
    /// </remarks>
    public event EventHandler<TopologyChangedEventArgs>? TopologyChanged
    {
        add => _router.Announcer.Changed += value;
        remove => _router.Announcer.Changed -= value;
    }

    /// <summary>Whom connections go to when nothing else is asked for.</summary>
    public TargetSessionAttributes Target { get; }

    /// <summary>
    /// Npgsql's settings in force for the member that connections go to now, without password: what
    /// <see cref="CreateConnection"/> would be made with. While no member is known its host is none.
    /// </summary>
    /// <remarks>
    /// It changes with the leader, so it is nothing to keep. <see cref="ToString"/> tells the cluster's settings.
    /// </remarks>
    public override string ConnectionString => _router.ConnectionStringFor(Target);

    /// <summary>What is known of the cluster now.</summary>
    public ClusterTopology Topology => _router.Describe();

    internal ClusterRouter Router => _router;

    /// <summary>
    /// Makes a data source of one string: <c>Cluster=orders;Etcd=10.0.0.1:2379,10.0.0.2:2379;Database=…;Username=…</c>.
    /// </summary>
    /// <exception cref="ArgumentException">Something in it is wrong or missing; the message says what.</exception>
    public static RoutingDataSource Create(string connectionString) =>
        new RoutingDataSourceBuilder(connectionString).Build();

    /// <summary>The same pools and the same watch, with another target. Disposing of it does nothing.</summary>
    public RoutingDataSource WithTarget(TargetSessionAttributes target)
    {
        _ = Targets.RequestFor(target, _router.Options);   // refuses what is none
        return target == Target && !_isOwner ? this : new RoutingDataSource(_router, target, _random, isOwner: false);
    }

    /// <summary>A closed connection to the member that is right now.</summary>
    /// <remarks>
    /// It does not wait for a leader: without one it belongs to the member that led last. Opened later, it may fail
    /// where <see cref="OpenConnectionAsync(CancellationToken)"/> would not; it never writes to a standby.
    /// </remarks>
    /// <exception cref="NoHostException">
    /// No member is known, and none became known within <see cref="RoutingOptions.OpenTimeout"/>.
    /// </exception>
    public new NpgsqlConnection CreateConnection() => _kept.Create(Guess());

    /// <summary>Opens a connection; blocks the thread.</summary>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    public new NpgsqlConnection OpenConnection() => _opener.Open(Target);

    /// <summary>Opens a connection for another target; blocks the thread.</summary>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    public NpgsqlConnection OpenConnection(TargetSessionAttributes target) => _opener.Open(target);

    /// <summary>
    /// Opens a connection; waits for a leader, or a replica that fits, as long as the token and
    /// <see cref="RoutingOptions.OpenTimeout"/> allow.
    /// </summary>
    /// <exception cref="NoHostException">None could be had in time.</exception>
    /// <exception cref="OperationCanceledException">The token ended it; the message says what was tried.</exception>
    public new ValueTask<NpgsqlConnection> OpenConnectionAsync(CancellationToken cancellationToken = default) =>
        _opener.OpenAsync(Target, cancellationToken);

    /// <summary>Opens a connection for another target.</summary>
    /// <exception cref="NoHostException">None could be had in time.</exception>
    /// <exception cref="OperationCanceledException">The token ended it; the message says what was tried.</exception>
    public ValueTask<NpgsqlConnection> OpenConnectionAsync(
        TargetSessionAttributes target, CancellationToken cancellationToken = default) =>
        _opener.OpenAsync(target, cancellationToken);

    /// <summary>
    /// Opens a connection for reads that see everything up to a token: to a replica that has replayed it, or does so
    /// within <see cref="RoutingOptions.CausalWait"/>; else to the leader.
    /// </summary>
    /// <remarks>
    /// A token from before a failover goes to the leader. An empty token is like no token: any replica.
    /// </remarks>
    /// <exception cref="NoHostException">None could be had in time.</exception>
    public ValueTask<NpgsqlConnection> OpenConnectionAsync(
        CausalToken token, CancellationToken cancellationToken = default) =>
        _causal.OpenAsync(token, cancellationToken);

    /// <summary>
    /// Captures where the leader's log ends now: after a commit on this connection, a read with the token sees what was
    /// committed.
    /// </summary>
    /// <param name="connection">An open connection to the leader, outside a transaction or after its commit.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="PostgresException">The server is not a primary.</exception>
    public static ValueTask<CausalToken> CaptureTokenAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken = default) =>
        LogEnd.CaptureAsync(connection, cancellationToken);

    /// <summary>Runs a transaction, and repeats it as a whole when a failover or a conflict undid it.</summary>
    /// <param name="work">
    /// What to do. It may run several times, so what it does outside the transaction must bear that.
    /// </param>
    /// <param name="options">How long and how often; null: the defaults.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What the run returned that was committed.</returns>
    /// <exception cref="AmbiguousCommitException">
    /// The answer to a COMMIT was lost, and nothing told what became of it.
    /// </exception>
    /// <exception cref="TimeoutException">
    /// It was not done within <see cref="UnitOfWorkOptions.Deadline"/>; nothing was committed.
    /// </exception>
    public Task<T> RunAsync<T>(
        Func<NpgsqlTransaction, CancellationToken, Task<T>> work, UnitOfWorkOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(work);
        return _units.RunAsync(work, options ?? new UnitOfWorkOptions(), cancellationToken);
    }

    /// <summary>Runs a transaction, and repeats it as a whole when a failover or a conflict undid it.</summary>
    /// <param name="work">
    /// What to do. It may run several times, so what it does outside the transaction must bear that.
    /// </param>
    /// <param name="options">How long and how often; null: the defaults.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="AmbiguousCommitException">
    /// The answer to a COMMIT was lost, and nothing told what became of it.
    /// </exception>
    /// <exception cref="TimeoutException">
    /// It was not done within <see cref="UnitOfWorkOptions.Deadline"/>; nothing was committed.
    /// </exception>
    public Task RunAsync(
        Func<NpgsqlTransaction, CancellationToken, Task> work, UnitOfWorkOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(work);
        return _units.RunAsync(
            async (transaction, token) =>
            {
                await work(transaction, token).ConfigureAwait(false);
                return true;
            },
            options ?? new UnitOfWorkOptions(), cancellationToken);
    }

    /// <summary>
    /// Tells of a command that failed. When the server refused a write as read-only (25006), the pool that the
    /// connection came from is emptied, so that the next open is right. Anything else is left alone.
    /// </summary>
    /// <returns>Whether it was that.</returns>
    public bool Report(NpgsqlConnection connection, Exception failure)
    {
        ArgumentNullException.ThrowIfNull(connection);
        if (failure is not PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction }
            || _router.WritePoolOf(connection) is not { } pool)
        {
            return false;
        }
        _router.EvictReadOnly(pool);
        return true;
    }

    /// <summary>
    /// Ends when the member that an open connection goes to ceases to lead (or leaves). Given to a command, it
    /// interrupts what still runs there after a failover.
    /// </summary>
    public CancellationToken TermOf(NpgsqlConnection connection)
    {
        ArgumentNullException.ThrowIfNull(connection);
        return _router.PoolOf(connection, Target)?.EndOfTerm ?? new CancellationToken(canceled: true);
    }

    /// <summary>
    /// The driver's settings in force, without passwords: the cluster, where its topology comes from, the target, and
    /// Npgsql's.
    /// </summary>
    public override string ToString() => RoutingConnectionString.Describe(_router.Options, Target);

    /// <inheritdoc cref="KeptConnections.Owns"/>
    internal bool Owns(NpgsqlConnection connection) => _kept.Owns(connection);

    /// <inheritdoc cref="KeptConnections.IsRight"/>
    internal bool IsRight(NpgsqlConnection connection) => _kept.IsRight(connection);

    /// <summary>
    /// A closed connection that is to be opened by <see cref="OpenForLaterAsync"/>; waits for etcd hardly at all.
    /// </summary>
    internal NpgsqlConnection CreateForLater() => _kept.Create(_router.BestGuessSoon(Target) ?? _router.Nobody);

    /// <inheritdoc cref="KeptConnections.OpenAsync"/>
    internal NpgsqlConnection OpenForLater(NpgsqlConnection? own)
    {
        var opening = _kept.OpenAsync(own, isAsync: false, CancellationToken.None);
        Debug.Assert(opening.IsCompleted, "without await there is nothing to wait for");
        return opening.GetAwaiter().GetResult();
    }

    /// <inheritdoc cref="KeptConnections.OpenAsync"/>
    internal ValueTask<NpgsqlConnection> OpenForLaterAsync(
        NpgsqlConnection? own, CancellationToken cancellationToken) =>
        _kept.OpenAsync(own, isAsync: true, cancellationToken);

    /// <summary>The database's types have changed, or may have.</summary>
    internal void TypesMayHaveChanged() => _opener.Types.Changed(position: null);

    /// <summary>
    /// A statement on this connection has changed the database's types: at once, or when its transaction is over.
    /// </summary>
    internal void TypesMayHaveChanged(NpgsqlConnection connection)
    {
        TypesMayHaveChanged();
        if (s_changing.TryAdd(connection, s_changing))
        {
            connection.StateChange += OnStateChange;
        }

        void OnStateChange(object sender, StateChangeEventArgs change)
        {
            if (change.CurrentState != ConnectionState.Open)
            {
                connection.StateChange -= OnStateChange;
                s_changing.Remove(connection);
                TypesMayHaveChanged();
            }
        }
    }

    /// <summary>
    /// A command for one execution on the member that is right now; like <see cref="CreateConnection"/> it does not
    /// wait for a leader.
    /// </summary>
    /// <exception cref="NoHostException">
    /// No member is known, and none became known within <see cref="RoutingOptions.OpenTimeout"/>.
    /// </exception>
    public new NpgsqlCommand CreateCommand(string? commandText = null) => Guess().CreateCommand(commandText);

    /// <summary>
    /// A batch for one execution on the member that is right now; like <see cref="CreateConnection"/> it does not wait
    /// for a leader.
    /// </summary>
    /// <exception cref="NoHostException">
    /// No member is known, and none became known within <see cref="RoutingOptions.OpenTimeout"/>.
    /// </exception>
    public new NpgsqlBatch CreateBatch() => Guess().CreateBatch();

    /// <summary>
    /// Opens a connection for logical replication; waits and tries as
    /// <see cref="OpenConnectionAsync(CancellationToken)"/> does. It has no pool, and does not follow the leader: open
    /// another one when it breaks.
    /// </summary>
    /// <exception cref="NoHostException">None could be had in time.</exception>
    /// <exception cref="OperationCanceledException">The token ended it.</exception>
    public ValueTask<LogicalReplicationConnection> OpenLogicalReplicationConnectionAsync(
        CancellationToken cancellationToken = default) =>
        _replication.OpenAsync(Target, static text => new LogicalReplicationConnection(text), cancellationToken);

    /// <summary>
    /// Opens a connection for physical replication, as <see cref="OpenLogicalReplicationConnectionAsync"/> does.
    /// </summary>
    /// <exception cref="NoHostException">None could be had in time.</exception>
    /// <exception cref="OperationCanceledException">The token ended it.</exception>
    public ValueTask<PhysicalReplicationConnection> OpenPhysicalReplicationConnectionAsync(
        CancellationToken cancellationToken = default) =>
        _replication.OpenAsync(Target, static text => new PhysicalReplicationConnection(text), cancellationToken);

    /// <summary>Closes the idle connections to all members; those in use are closed when they come back.</summary>
    /// <remarks>All facades of the source share their pools: theirs are closed, too.</remarks>
    public void Clear() => _router.ClearAll();

    /// <summary>
    /// Loads the database's types anew in all pools: after a migration has created an enum, a composite type or an
    /// extension. A connection that is open knows them when it is next taken from its pool.
    /// </summary>
    /// <remarks>
    /// A member that can't do so now, or has not replayed the change yet, does so before its next connection is handed
    /// out. Npgsql's own method of a connection has the same effect on all pools.
    /// </remarks>
    /// <exception cref="NoHostException">No leader could be had in time.</exception>
    /// <exception cref="OperationCanceledException">The token ended it.</exception>
    public Task ReloadTypesAsync(CancellationToken cancellationToken = default) =>
        _opener.Types.ReloadAsync(cancellationToken);

    /// <summary>As <see cref="ReloadTypesAsync"/>; blocks the thread.</summary>
    /// <exception cref="NoHostException">No leader could be had in time.</exception>
    public void ReloadTypes() => Task.Run(() => ReloadTypesAsync()).GetAwaiter().GetResult();

    /// <inheritdoc/>
    protected override DbConnection CreateDbConnection() => CreateConnection();

    /// <inheritdoc/>
    protected override DbConnection OpenDbConnection() => OpenConnection();

    /// <inheritdoc/>
    protected override async ValueTask<DbConnection> OpenDbConnectionAsync(
        CancellationToken cancellationToken = default) =>
        await OpenConnectionAsync(cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    protected override DbCommand CreateDbCommand(string? commandText = null) => CreateCommand(commandText);

    /// <inheritdoc/>
    protected override DbBatch CreateDbBatch() => CreateBatch();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && _isOwner)
        {
            // Without the application's synchronization context: the end of the watch could wait for this thread there.
            Task.Run(async () => await _router.DisposeAsync().ConfigureAwait(false)).GetAwaiter().GetResult();
        }
        base.Dispose(disposing);
    }

    /// <inheritdoc/>
    protected override async ValueTask DisposeAsyncCore()
    {
        if (_isOwner)
        {
            await _router.DisposeAsync().ConfigureAwait(false);
        }
        await base.DisposeAsyncCore().ConfigureAwait(false);
    }

    private MemberPool Guess()
    {
        if (_router.BestGuess(Target) is { } pool)
        {
            return pool;
        }
        // nothing is known at all yet: the first view is worth waiting for
        using var connection = _opener.Open(Target);
        return _router.BestGuess(Target)
            ?? throw new InvalidOperationException("A member was just connected to, and none is known.");
    }
}
