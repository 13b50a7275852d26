using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Etcdserverpb;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Mvccpb;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Dcs.Etcd;

/// <summary>The cluster store on etcd, version 3.4 or newer.</summary>
/// <remarks>
/// <para>One endpoint is used until it fails; an attempt on a silent one costs about a second when there are others. An
/// operation with all its attempts takes at most <see cref="EtcdOptions.OperationTimeout"/>.</para>
/// <para>Questions and renewals are repeated freely. A write is repeated only when it surely was not applied, or when
/// reading the key shows that repeating is harmless; where that does not tell, the outcome is Unknown. A write that was
/// given up may still be applied later by a member that was frozen: conditions, not order, keep such writes
/// harmless.</para>
/// <para>All members are thread-safe.</para>
/// </remarks>
public sealed class EtcdClusterStore : IClusterStore
{
    private const long ClaimSeconds = 60;   // longer than any operation takes

    private readonly ILogger _logger;
    private readonly EtcdKeys _keys;
    private readonly EtcdClient _client;
    private readonly EtcdDiscovery _discovery;
    private readonly EtcdInquiry _inquiry;
    private readonly EtcdWatchCounters _watchCounters = new();

    /// <summary>Creates a store; nothing is connected before the first call.</summary>
    /// <param name="options">How to reach etcd.</param>
    /// <param name="clusterNamespace">The namespace; <c>service</c> when null or empty.</param>
    /// <param name="scope">The cluster's name.</param>
    /// <param name="time">The clock.</param>
    /// <param name="loggerFactory">For messages about endpoints and the watch.</param>
    /// <exception cref="ClusterStoreException">A certificate file cannot be used.</exception>
    /// <exception cref="ArgumentException">No endpoint.</exception>
    public EtcdClusterStore(
        EtcdOptions options, string? clusterNamespace, string scope, TimeProvider time, ILoggerFactory loggerFactory)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(loggerFactory);
        _logger = loggerFactory.CreateLogger<EtcdClusterStore>();
        _keys = new EtcdKeys(ClusterKeys.BasePath(clusterNamespace, scope));
        _client = new EtcdClient(options, time, _logger);
        _discovery = new EtcdDiscovery(_client, options, _logger);
        _inquiry = new EtcdInquiry(_client, _keys.ReadOne(ClusterKeys.Leader), _logger);
        _client.Doubted = _inquiry.Begin;
    }

    /// <summary>How often the watches of this store ask for a sign of life.</summary>
    public WatchPace WatchPace { get; } = new();

    /// <summary>The state of its connection, for metrics and status pages.</summary>
    public EtcdStatus Status => new(
        _client.Endpoints.CurrentIfAny?.Name ?? "", _client.Endpoints.Count, _client.Endpoints.Changes,
        _client.Failures,
        _watchCounters.Reconnects, _watchCounters.Resyncs, _client.Login.Count, _client.LastContact);

    /// <inheritdoc/>
    public string? Problem => _client.Problem;

    /// <summary>What a later process should know of this store.</summary>
    public StoreMark Mark => _client.Lives.Mark;

    /// <summary>
    /// What an earlier process knew, to be told before the first call: a store that does not fit begins a new life.
    /// </summary>
    public void Recall(StoreMark mark) => _client.Lives.Recall(mark);

    /// <summary>
    /// Takes over user, password and certificates, also those that stand in the same files as before; what runs goes
    /// on, and what is asked from now on uses them. Nothing else of the options is looked at.
    /// </summary>
    /// <exception cref="ClusterStoreException">A certificate file cannot be used; nothing was changed.</exception>
    public void Use(EtcdOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _client.Use(options);
    }

    /// <inheritdoc/>
    public async ValueTask<ClusterSnapshot> ReadAsync(CancellationToken cancellationToken)
    {
        var answer = await AskAsync(_client.Begin("read the cluster", cancellationToken), _keys.ReadAll);
        return SnapshotReader.Read(answer.Header.Revision, answer.Kvs.Select(_keys.Raw), _client.Lives.Current);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A cell for the newest view: a slow reader skips, the watch never waits for it.
        var newest = Channel.CreateBounded<ClusterView>(
            new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true,
                SingleWriter = true });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = NewWatch(newest.Writer).RunAsync(stop.Token);
        try
        {
            // The watch ends by the token, or with a mistake of this program: both are thrown here.
            await foreach (var view in newest.Reader.ReadAllAsync(cancellationToken))
            {
                yield return view;
            }
        }
        finally
        {
            await stop.CancelAsync();
            await running;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<LeaseGrant> GrantLeaseAsync(TimeSpan ttl, CancellationToken cancellationToken)
    {
        var operation = _client.Begin("grant a lease", cancellationToken);
        var request = new LeaseGrantRequest { TTL = (long)Math.Ceiling(ttl.TotalSeconds) };
        // A repeated request may grant two leases: the unused one ends by itself.
        var answer = await _client.AskAsync(
            operation, async (endpoint, call) => await endpoint.Lease.LeaseGrantAsync(request, call));
        _discovery.Begin();
        return new LeaseGrant(answer.ID, TimeSpan.FromSeconds(answer.TTL));
    }

    /// <inheritdoc/>
    public async ValueTask<TimeSpan?> ReadLeaseAsync(long leaseId, CancellationToken cancellationToken)
    {
        var operation = _client.Begin("read a lease", cancellationToken);
        var request = new LeaseTimeToLiveRequest { ID = leaseId };
        var answer = await _client.AskAsync(
            operation, async (endpoint, call) => await endpoint.Lease.LeaseTimeToLiveAsync(request, call));
        return answer.TTL >= 0 ? TimeSpan.FromSeconds(answer.TTL) : null;
    }

    /// <inheritdoc/>
    public async ValueTask<RenewOutcome> RenewLeaseAsync(long leaseId, CancellationToken cancellationToken)
    {
        var operation = _client.Begin("renew the lease", cancellationToken);
        try
        {
            var answer = await _client.AskAsync(operation, (endpoint, call) => KeepAliveAsync(endpoint, leaseId, call));
            return answer.TTL > 0 ? RenewOutcome.Renewed : RenewOutcome.Gone;
        }
        catch (ClusterStoreException)
        {
            return RenewOutcome.Unknown;   // each attempt was logged; the caller knows what silence means
        }
    }

    /// <inheritdoc/>
    public async ValueTask<LeaderWrite> TryAcquireLeaderAsync(
        string member, long leaseId, RaceBasis? basis, CancellationToken cancellationToken) =>
        await TryAcquireLeaderAsync(
            _client.Begin("write the leader key", cancellationToken), member, leaseId, basis);

    /// <inheritdoc/>
    public async ValueTask<LeaderWrite> TryKeepLeaderAsync(
        string member, long leaseId, CancellationToken cancellationToken)
    {
        var operation = _client.Begin("confirm the leader key", cancellationToken);
        while (true)
        {
            LeaderKey? seen;
            try
            {
                seen = await ReadLeaderAsync(operation);
            }
            catch (ClusterStoreException problem)
            {
                return new LeaderWrite(LeaseOutcome.Unknown, Problem: problem.Message);
            }
            if (seen?.Holder != member)
            {
                return new LeaderWrite(LeaseOutcome.Lost, seen) { Life = _client.Lives.Current.Number };
            }
            if (seen.LeaseId == leaseId)
            {
                return new LeaderWrite(LeaseOutcome.Held, seen) { Life = seen.Term.Life };
            }
            var transaction = _keys.Transaction(
                ClusterKeys.Leader,
                _keys.Put(ClusterKeys.Leader, member, leaseId),
                _keys.ValueIs(ClusterKeys.Leader, member),
                _keys.ModIs(ClusterKeys.Leader, seen.ModRevision));
            var written = await WriteLeaderAsync(operation, transaction, member, leaseId, seen.Term);
            if (written is not { Outcome: LeaseOutcome.Lost, Leader: { } other } || other.Holder != member)
            {
                return written;
            }
            // This member still holds the key, but it was written in between: read it again.
        }
    }

    /// <inheritdoc/>
    public async ValueTask<LeaderWrite> TryCarryLeaderAsync(
        string member, long leaseId, CancellationToken cancellationToken)
    {
        var operation = _client.Begin("carry the leader key over", cancellationToken);
        while (true)
        {
            ClusterSnapshot cluster;
            try
            {
                var answer = await AskAsync(operation, _keys.ReadAll);
                cluster =
                    SnapshotReader.Read(answer.Header.Revision, answer.Kvs.Select(_keys.Raw), _client.Lives.Current);
            }
            catch (ClusterStoreException problem)
            {
                return new LeaderWrite(LeaseOutcome.Unknown, Problem: problem.Message);
            }
            if (cluster.Leader is null)
            {
                return await TryAcquireLeaderAsync(operation, member, leaseId, null);
            }
            var seen = cluster.Leader;
            if (seen.Holder == member)
            {
                // Written anew even on the same lease: that shows that it is not a remnant of the snapshot.
                var transaction = _keys.Transaction(
                    ClusterKeys.Leader,
                    _keys.Put(ClusterKeys.Leader, member, leaseId),
                    _keys.ValueIs(ClusterKeys.Leader, member),
                    _keys.ModIs(ClusterKeys.Leader, seen.ModRevision));
                return await WriteLeaderAsync(operation, transaction, member, leaseId, seen.Term);
            }
            if (cluster.IsLeaderProven)
            {
                return new LeaderWrite(LeaseOutcome.Lost, seen) { Life = cluster.Life.Number };
            }
            var deleted = await WriteAsync(
                operation, ClusterKeys.Leader, _keys.Delete(ClusterKeys.Leader),
                WriteCondition.Unchanged(seen.ModRevision),
                canRepeat: true, IsGone);
            if (!deleted.IsDone && deleted.Status != WriteStatus.Conflict)
            {
                return new LeaderWrite(LeaseOutcome.Unknown, seen, deleted.Problem);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<WriteOutcome> ReleaseLeaderAsync(string member, CancellationToken cancellationToken)
    {
        var operation = _client.Begin("release the leader key", cancellationToken);
        LeaderKey? seen;
        try
        {
            seen = await ReadLeaderAsync(operation);
        }
        catch (ClusterStoreException problem)
        {
            return new WriteOutcome(problem.IsRefusal ? WriteStatus.Refused : WriteStatus.Unknown,
                Problem: problem.Message);
        }
        if (seen?.Holder != member)
        {
            return new WriteOutcome(WriteStatus.Conflict, Problem: $"the leader key names {seen?.Holder ?? "nobody"}");
        }
        // By revision too: a delete that arrives late must not hit the key of our next term.
        return await WriteAsync(
            operation, ClusterKeys.Leader, _keys.Delete(ClusterKeys.Leader), WriteCondition.Unchanged(seen.ModRevision),
            canRepeat: true, IsGone);
    }

    /// <inheritdoc/>
    public ValueTask<WriteOutcome> PutAsync(
        string key, string value, WriteCondition condition, long leaseId, CancellationToken cancellationToken)
    {
        var operation = _client.Begin($"write {key}", cancellationToken);
        if (condition.What == WriteCondition.Kind.Absent && leaseId == 0)
        {
            return CreateAsync(operation, key, value);
        }
        return WriteAsync(
            operation, key, _keys.Put(key, value, leaseId), condition,
            canRepeat: true, found => IsOurs(found, value, leaseId, condition));
    }

    /// <inheritdoc/>
    public ValueTask<WriteOutcome> DeleteAsync(
        string key, WriteCondition condition, CancellationToken cancellationToken) =>
        WriteAsync(
            _client.Begin($"delete {key}", cancellationToken), key, _keys.Delete(key), condition,
            canRepeat: condition.What != WriteCondition.Kind.Always, IsGone);   // else it might hit a key created since

    /// <inheritdoc/>
    public async ValueTask DeleteClusterAsync(CancellationToken cancellationToken)
    {
        var request = new DeleteRangeRequest { Key = _keys.Prefix, RangeEnd = _keys.PrefixEnd };
        await _client.AskAsync(
            _client.Begin("delete the cluster", cancellationToken),
            async (endpoint, call) => await endpoint.Kv.DeleteRangeAsync(request, call));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _inquiry.DisposeAsync();
        await _discovery.DisposeAsync();
        _client.Dispose();
    }

    internal EtcdEndpoint CurrentEndpoint => _client.Endpoints.Current;

    internal EtcdWatch NewWatch(ChannelWriter<ClusterView> views) =>
        new(_client, _keys, WatchPace, _watchCounters, views, _logger);

    private static async Task<LeaseKeepAliveResponse> KeepAliveAsync(
        EtcdEndpoint endpoint, long leaseId, CallOptions options)
    {
        using var call = endpoint.Lease.LeaseKeepAlive(options);
        await EtcdClient.WriteAsync(call.RequestStream, new LeaseKeepAliveRequest { ID = leaseId },
            options.CancellationToken);
        if (!await call.ResponseStream.MoveNext(options.CancellationToken))
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "the stream ended without an answer"));
        }
        return call.ResponseStream.Current;   // disposing of the call ends the stream
    }

    /// <summary>Whether a write whose answer was lost is seen to have happened; null: it can't be told.</summary>
    /// <param name="found">The key, which does not fulfil the write's condition any more.</param>
    /// <param name="value">What was to be written.</param>
    /// <param name="leaseId">On which lease.</param>
    /// <param name="condition">The condition.</param>
    private static bool? IsOurs(KeyValue? found, string value, long leaseId, WriteCondition condition)
    {
        var matches = found is not null && found.Lease == leaseId && found.Value.ToStringUtf8() == value;
        // A key created on our own lease is ours. The same value on the same state: the write has its effect, whichever
        // member made it.
        return matches ? true : condition.What == WriteCondition.Kind.Absent && found?.Version == 1 ? false : null;
    }

    private static bool? IsGone(KeyValue? found) => found is null ? true : null;

    private async Task<RangeResponse> AskAsync(EtcdOperation operation, RangeRequest request)
    {
        var answer = await _client.AskAsync(
            operation, async (endpoint, call) => await endpoint.Kv.RangeAsync(request, call), range => range.Header);
        _discovery.Begin();
        return answer;
    }

    private async ValueTask<LeaderWrite> TryAcquireLeaderAsync(
        EtcdOperation operation, string member, long leaseId, RaceBasis? basis)
    {
        // The request may be repeated: the key is created once, and its name and lease tell which member created it.
        var transaction = _keys.Transaction(
            ClusterKeys.Leader,
            _keys.Put(ClusterKeys.Leader, member, leaseId),
            _keys.Condition(ClusterKeys.Leader, WriteCondition.Absent),
            basis is { } seen ? _keys.ModIs(ClusterKeys.Sync, seen.SyncRevision) : null,
            basis is { } known ? _keys.ModIs(ClusterKeys.Status, known.StatusRevision) : null);
        return await WriteLeaderAsync(operation, transaction, member, leaseId);
    }

    private async Task<LeaderKey?> ReadLeaderAsync(EtcdOperation operation) =>
        EtcdKeys.Leader(
            (await AskAsync(operation, _keys.ReadOne(ClusterKeys.Leader))).Kvs.FirstOrDefault(),
            _client.Lives.Current.Number);

    /// <summary>Writes the leader key on a condition that can hold only once, so that it may be repeated.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="transaction">The write; its failure branch reads the key.</param>
    /// <param name="member">Our name.</param>
    /// <param name="leaseId">Our lease.</param>
    /// <param name="term">The term when the key exists already; null when this creates it.</param>
    private async Task<LeaderWrite> WriteLeaderAsync(
        EtcdOperation operation, TxnRequest transaction, string member, long leaseId, Term? term = null)
    {
        var isOpen = false;
        while (true)
        {
            var (answer, failure) = await TransactAsync(operation, transaction, txn => txn.Header);
            var life = _client.Lives.Current.Number;
            if (answer is { Succeeded: true, Header.Revision: var revision })
            {
                return new LeaderWrite(
                    LeaseOutcome.Held,
                    new LeaderKey(member, term ?? new Term(revision, life), revision, leaseId)) { Life = life };
            }
            if (answer is not null)
            {
                // When an earlier attempt of ours was applied unheard, the key shows it.
                var leader = EtcdKeys.Leader(EtcdKeys.Seen(answer), life);
                var isOurs = leader?.Holder == member && leader.LeaseId == leaseId;
                return new LeaderWrite(isOurs ? LeaseOutcome.Held : LeaseOutcome.Lost, leader) { Life = life };
            }
            isOpen |= !failure!.IsWithoutEffect;
            if (failure.Kind == EtcdFailureKind.LeaseGone)
            {
                return new LeaderWrite(LeaseOutcome.LeaseGone, Problem: failure.Message);
            }
            if (failure.Kind == EtcdFailureKind.Refused && !isOpen)
            {
                return new LeaderWrite(LeaseOutcome.Lost, Problem: failure.Message);
            }
            if (failure.Kind == EtcdFailureKind.Refused || operation.IsOver)
            {
                return new LeaderWrite(LeaseOutcome.Unknown, Problem: failure.Message);
            }
        }
    }

    private async ValueTask<WriteOutcome> WriteAsync(
        EtcdOperation operation, string key, RequestOp write, WriteCondition condition, bool canRepeat,
        Func<KeyValue?, bool?> hasHappened)
    {
        var transaction = _keys.Transaction(key, write, _keys.Condition(key, condition));
        return await WriteAsync(operation, key, transaction, canRepeat, answer => hasHappened(EtcdKeys.Seen(answer)));
    }

    /// <summary>
    /// Creates a key that hangs on no lease. When the answer is lost, the key does not tell its maker (two members
    /// begin to bootstrap with the same empty value), so the same transaction leaves a claim with a unique name; it
    /// goes with its own short lease.
    /// </summary>
    private async ValueTask<WriteOutcome> CreateAsync(EtcdOperation operation, string key, string value)
    {
        LeaseGrantResponse lease;
        try
        {
            lease = await _client.AskAsync(
                operation,
                async (endpoint, call) =>
                    await endpoint.Lease.LeaseGrantAsync(new LeaseGrantRequest { TTL = ClaimSeconds }, call));
        }
        catch (ClusterStoreException problem)
        {
            // Nothing was written yet, but only a refusal is a definite end.
            return new WriteOutcome(problem.IsRefusal ? WriteStatus.Refused : WriteStatus.Unknown,
                Problem: problem.Message);
        }
        var claim = $"{ClusterKeys.RoutingPrefix}claims/{lease.ID}";
        var transaction = _keys.Transaction(key, _keys.Put(key, value, 0), _keys.Condition(key, WriteCondition.Absent));
        transaction.Success.Add(_keys.Put(claim, "", lease.ID));
        transaction.Failure.Add(new RequestOp { RequestRange = _keys.ReadOne(claim) });
        var outcome = await WriteAsync(
            operation, key, transaction, canRepeat: true, answer => answer.Responses[1].ResponseRange.Kvs.Count > 0);
        if (outcome.Status != WriteStatus.Unknown && !operation.IsOver)
        {
            // The claim is deleted early; without this it ends with its lease.
            await _client.TryAsync(
                operation,
                async (endpoint, call) =>
                    await endpoint.Lease.LeaseRevokeAsync(new LeaseRevokeRequest { ID = lease.ID }, call));
        }
        return outcome;
    }

    private async ValueTask<WriteOutcome> WriteAsync(
        EtcdOperation operation, string key, TxnRequest transaction, bool canRepeat,
        Func<TxnResponse, bool?> hasHappened)
    {
        var isOpen = false;   // an earlier attempt may have been applied unheard
        while (true)
        {
            var (answer, failure) = await TransactAsync(operation, transaction);
            if (answer is { Succeeded: true })
            {
                return new WriteOutcome(WriteStatus.Done, answer.Header.Revision);
            }
            if (answer is not null)
            {
                var found = EtcdKeys.Seen(answer);
                return (isOpen ? hasHappened(answer) : false) switch
                {
                    true => new WriteOutcome(WriteStatus.Done, found?.ModRevision ?? answer.Header.Revision),
                    false => new WriteOutcome(WriteStatus.Conflict, Problem: $"{key} is not as it was expected"),
                    null => new WriteOutcome(
                        WriteStatus.Unknown, Problem: $"{key} was changed, and it can't be told by whom"),
                };
            }
            isOpen |= !failure!.IsWithoutEffect;
            if (failure.Kind == EtcdFailureKind.LeaseGone)
            {
                return new WriteOutcome(WriteStatus.LeaseGone, Problem: failure.Message);
            }
            if (failure.Kind == EtcdFailureKind.Refused && !isOpen)
            {
                return new WriteOutcome(WriteStatus.Refused, Problem: failure.Message);
            }
            if (failure.Kind == EtcdFailureKind.Refused || operation.IsOver || (isOpen && !canRepeat))
            {
                return new WriteOutcome(WriteStatus.Unknown, Problem: failure.Message);
            }
        }
    }

    private async Task<EtcdAnswer<TxnResponse>> TransactAsync(
        EtcdOperation operation, TxnRequest transaction, Func<TxnResponse, ResponseHeader?>? header = null)
    {
        var answer = await _client.TryAsync(
            operation, async (endpoint, call) => await endpoint.Kv.TxnAsync(transaction, call), header);
        if (answer.Failure is null)
        {
            _discovery.Begin();
        }
        return answer;
    }
}
