using System.Data;
using System.Reflection;
using Npgsql;
using Routing.Cluster;
using Routing.Driver.Diagnostics;

namespace Routing.Driver.Members;

/// <summary>
/// The connections to one member for one purpose: an <see cref="NpgsqlDataSource"/>, and what is known beside it.
/// </summary>
internal sealed class MemberPool : IDisposable
{
    // Npgsql shows the numbers of a pool to its own metrics alone; a test tells when a newer version does not.
    private static readonly PropertyInfo? s_statistics =
        typeof(NpgsqlDataSource).GetProperty("Statistics", BindingFlags.Instance | BindingFlags.NonPublic);

    private readonly NpgsqlDataSource _source;
    private readonly StateChangeEventHandler _onStateChange;
    private readonly int _size;
    private CancellationTokenSource _endOfTerm = new();
    private CancellationTokenSource _attempts = new();
    private int _busy;
    private int _pending;
    private int _typesVersion;
    private volatile bool _wasUsed;
    private volatile bool _isSilent;
    private volatile bool _admitsStandby;
    private int _standbySessions;
    private CancellationTokenSource _warming = new();
    private long _downAt;

    public MemberPool(string member, HostPort address, PoolPurpose purpose, NpgsqlDataSource source, TimeProvider time)
    {
        Member = member;
        Address = address;
        Purpose = purpose;
        Health = new MemberHealth(time);
        SignOfLife = new SignOfLife(address, time);
        _source = source;
        _size = new NpgsqlConnectionStringBuilder(source.ConnectionString).MaxPoolSize;
        _onStateChange = OnStateChange;
    }

    public string Member { get; }

    public HostPort Address { get; }

    public PoolPurpose Purpose { get; }

    public MemberHealth Health { get; }

    /// <summary>The most connections that it has at once.</summary>
    public int Size => _size;

    /// <summary>
    /// Connections that it holds, in use or idle; null: this version of Npgsql does not tell.
    /// </summary>
    public int? Total => s_statistics?.GetValue(_source) is ValueTuple<int, int, int> counts ? counts.Item1 : null;

    /// <summary>
    /// It is for writes, and its member is about to become the leader: a login there is good while it is a standby yet.
    /// </summary>
    public bool AdmitsStandby => _admitsStandby;

    /// <summary>
    /// It is for writes, and may hold sessions that began when their server was a standby: one that has reported so
    /// (<see cref="WasInRecovery"/>) is asked for its role before it is handed out.
    /// </summary>
    public bool MayHoldStandbySessions => Volatile.Read(ref _standbySessions) > 0;

    /// <summary>Its settings, without password.</summary>
    public string ConnectionString => _source.ConnectionString;

    /// <summary>Tells whether the member answers at all.</summary>
    public SignOfLife SignOfLife { get; }

    /// <summary>
    /// The number of the change of types (<see cref="TypeChange.Version"/>) up to which it knows them.
    /// </summary>
    public int TypesVersion
    {
        get => Volatile.Read(ref _typesVersion);
        set => Volatile.Write(ref _typesVersion, value);
    }

    /// <summary>One at a time loads the types.</summary>
    public SemaphoreSlim TypesGate { get; } = new(1, 1);

    /// <summary>Whether it gave no sign of life when it was last asked for one.</summary>
    public bool IsSilent => _isSilent;

    /// <summary>Whether all connections are known to be in use; unknown for writes, which are not counted.</summary>
    public bool IsFull => InUse >= _size;

    /// <summary>Connections in use, as far as they are counted, and attempts under way.</summary>
    public int Busy => Volatile.Read(ref _busy) + Volatile.Read(ref _pending);

    /// <summary>Connections in use, as far as they are counted.</summary>
    public int InUse => Volatile.Read(ref _busy);

    /// <summary>Notes that the member is down, by a version of its key.</summary>
    /// <returns>False: that version was noted already.</returns>
    public bool NoteDown(long modRevision) => Interlocked.Exchange(ref _downAt, modRevision) != modRevision;

    /// <summary>Whether a connection was ever taken from this pool.</summary>
    public bool WasUsed => _wasUsed;

    /// <summary>Closed for good: its member left, or has another address now.</summary>
    public bool IsRetired { get; private set; }

    /// <summary>Ends when the member ceases to be fit for this purpose.</summary>
    public CancellationToken EndOfTerm => Volatile.Read(ref _endOfTerm).Token;

    /// <summary>
    /// Ends with <see cref="EndOfTerm"/>, or when the member turns out to be silent: the attempts of that time are
    /// given up then.
    /// </summary>
    public CancellationToken Attempts => Volatile.Read(ref _attempts).Token;

    /// <summary>A closed connection of this pool.</summary>
    /// <remarks>
    /// Its connections in use are counted only while the number is read: for the choice between replicas, or by a
    /// listener of the metric. Counting allocates nothing, but its atomic steps would be a tenth of an open's time.
    /// </remarks>
    public NpgsqlConnection Create()
    {
        var connection = _source.CreateConnection();
        if (Purpose == PoolPurpose.Read || DriverMetrics.CountsConnections)
        {
            connection.StateChange += _onStateChange;
        }
        if (!_wasUsed)
        {
            _wasUsed = true;
        }
        return connection;
    }

    /// <summary>A command that takes a connection of this pool for each execution.</summary>
    public NpgsqlCommand CreateCommand(string? text) => _source.CreateCommand(text);

    /// <summary>A batch that takes a connection of this pool for each execution.</summary>
    public NpgsqlBatch CreateBatch() => _source.CreateBatch();

    /// <summary>Counts an attempt that has to wait.</summary>
    public void AddPending(int change) => Interlocked.Add(ref _pending, change);

    /// <summary>
    /// Whether an opened connection may be handed out for a target, by what its server has reported. Costs no round
    /// trip.
    /// </summary>
    /// <remarks>
    /// The role was checked at login, and no server steps down without a restart that ends its sessions. But
    /// <c>default_transaction_read_only</c> may change under a session, and is looked at where writes are asked for by
    /// name; for a primary it is not, as Npgsql allocates for the look.
    /// </remarks>
    public static bool MayServe(NpgsqlConnection connection, TargetSessionAttributes target) =>
        target != TargetSessionAttributes.ReadWrite
        || !(Reports(connection, "default_transaction_read_only") || Reports(connection, "in_hot_standby"));

    /// <summary>Why a session accepts no writes, by what its server has reported.</summary>
    public static string WhyReadOnly(NpgsqlConnection connection) =>
        Reports(connection, "in_hot_standby") ? WrongRoleException.InRecovery : WrongRoleException.ReadOnly;

    /// <summary>
    /// Callers that found the pool full, in the order of their arrival: one at a time waits in Npgsql's own queue.
    /// </summary>
    public SemaphoreSlim Line { get; } = new(1, 1);

    /// <summary>Closes what is idle now, and what is in use when it comes back.</summary>
    public void Clear() => _source.Clear();

    /// <summary>Logins at a standby are good from now on.</summary>
    /// <param name="most">How many there will be.</param>
    /// <returns>Ends with <see cref="AdmitNoStandby"/>.</returns>
    public CancellationToken AdmitStandby(int most)
    {
        Interlocked.Add(ref _standbySessions, most);
        _admitsStandby = true;
        return Volatile.Read(ref _warming).Token;
    }

    /// <summary>Logins at a standby are refused again.</summary>
    public void AdmitNoStandby()
    {
        _admitsStandby = false;
        _ = Interlocked.Exchange(ref _warming, new CancellationTokenSource()).CancelAsync();
    }

    /// <summary>A session that began at a standby has seen the promotion: it is like any other now.</summary>
    public void NotePromoted() => Interlocked.Decrement(ref _standbySessions);

    /// <summary>Whether a session has reported last that its server is in recovery.</summary>
    public static bool WasInRecovery(NpgsqlConnection connection) => Reports(connection, "in_hot_standby");

    /// <summary>Whether a session reports its server's role, from PostgreSQL 14 on.</summary>
    public static bool CanTellItsRole(NpgsqlConnection connection) =>
        connection.PostgresParameters.ContainsKey("in_hot_standby");

    /// <summary>The member is silent: the attempts that wait for it are given up.</summary>
    /// <remarks>
    /// Npgsql keeps their places in the pool until its own time-out, so no further one may begin before the member has
    /// answered.
    /// </remarks>
    public void FoundSilent()
    {
        _isSilent = true;
        GiveUpAttempts();
    }

    /// <summary>Asks a member that was silent whether it answers again.</summary>
    /// <returns>Whether an attempt may begin.</returns>
    public async ValueTask<bool> AnswersAgainAsync(TimeSpan limit)
    {
        if (await SignOfLife.AskAsync(limit).ConfigureAwait(false))
        {
            _isSilent = false;
        }
        return !_isSilent;
    }

    private void GiveUpAttempts() =>
        _ = Interlocked.Exchange(ref _attempts, new CancellationTokenSource()).CancelAsync();

    /// <summary>
    /// The member is not fit any more: attempts are given up, connections closed as by <see cref="Clear"/>.
    /// </summary>
    public void Depose()
    {
        // The old source has no timer, so it needs no disposal; callbacks run elsewhere, as the caller must not wait
        // for them.
        _ = Interlocked.Exchange(ref _endOfTerm, new CancellationTokenSource()).CancelAsync();
        GiveUpAttempts();
        _source.Clear();
    }

    /// <summary>Takes no more openings; connections that are in use end when they come back.</summary>
    public void Dispose()
    {
        IsRetired = true;
        _ = Volatile.Read(ref _endOfTerm).CancelAsync();
        _ = Volatile.Read(ref _attempts).CancelAsync();
        _source.Dispose();
    }

    private static bool Reports(NpgsqlConnection connection, string parameter) =>
        connection.PostgresParameters.TryGetValue(parameter, out var value) && value == "on";

    private void OnStateChange(object sender, StateChangeEventArgs change)
    {
        if (change.CurrentState == ConnectionState.Open)
        {
            Interlocked.Increment(ref _busy);
        }
        else if (change.OriginalState == ConnectionState.Open)
        {
            Interlocked.Decrement(ref _busy);
        }
    }
}
