using System.Threading.Channels;
using Etcdserverpb;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Mvccpb;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Dcs.Etcd;

/// <summary>Counts of what happened to the watches of one store.</summary>
internal sealed class EtcdWatchCounters
{
    private long _reconnects;
    private long _resyncs;

    public long Reconnects => Interlocked.Read(ref _reconnects);

    public long Resyncs => Interlocked.Read(ref _resyncs);

    public void Reconnected() => Interlocked.Increment(ref _reconnects);

    public void Resynced() => Interlocked.Increment(ref _resyncs);
}

/// <summary>Follows one cluster: a linearizable read, then the changes from the next revision on.</summary>
/// <remarks>
/// On any doubt (the stream ended, was cancelled, was silent, went back) everything is read anew; nothing is ever
/// resumed blindly. The member must see a leader (else it ends the stream), and is asked for a sign of life all the
/// time.
/// </remarks>
internal sealed partial class EtcdWatch(
    EtcdClient client, EtcdKeys keys, WatchPace pace, EtcdWatchCounters counters, ChannelWriter<ClusterView> views,
    ILogger logger)
{
    private static readonly Backoff s_pauses = new(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(2));

    private ClusterSnapshot? _snapshot;
    private int _failures;

    /// <summary>Runs until the token ends it; an unforeseen error closes the views with it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await RunOnceAsync(cancellationToken);
                if (_snapshot is not null)
                {
                    Publish(isLive: false);
                }
                await Task.Delay(s_pauses.After(_failures), client.Time, cancellationToken);
                _failures++;
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            views.TryComplete();
        }
        catch (Exception ownMistake)
        {
            views.TryComplete(ownMistake);
        }
    }

    /// <summary>One read and one stream, until something about it is in doubt.</summary>
    private async Task RunOnceAsync(CancellationToken cancellationToken)
    {
        var operation = client.Begin("follow the cluster", cancellationToken);
        RangeResponse read;
        try
        {
            read = await client.AskAsync(
                operation, async (endpoint, call) => await endpoint.Kv.RangeAsync(keys.ReadAll, call),
                range => range.Header);
        }
        catch (ClusterStoreException problem)
        {
            LogNoRead(problem.Message);
            return;
        }
        Accept(read);
        Publish(isLive: true);

        var endpoint = client.Endpoints.Current;
        var failure = await FollowAsync(endpoint, read.Header.Revision + 1, cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();
        counters.Reconnected();
        client.Endpoints.Failed(endpoint, failure.Kind);
        LogLost(endpoint.Name, failure.Message);
    }

    private void Accept(RangeResponse read)
    {
        if (_snapshot is not null)
        {
            counters.Resynced();
        }
        var life = client.Lives.Current;
        var snapshot = SnapshotReader.Read(read.Header.Revision, read.Kvs.Select(keys.Raw), life);
        if (snapshot.Leader is { } leader && !client.Lives.Fits(read.Header, leader.Term.Revision))
        {
            life = client.Lives.Current;
            LogOlderLeader(leader.Term.Revision, life.Number);
            snapshot = SnapshotReader.Read(read.Header.Revision, read.Kvs.Select(keys.Raw), life);
        }
        _snapshot = snapshot;
    }

    /// <summary>Opens the stream and applies what it brings; returns why that ended.</summary>
    internal async Task<EtcdFailure> FollowAsync(EtcdEndpoint endpoint, long from, CancellationToken cancellationToken)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // Disposed of asynchronously: that waits until a call of it has ended.
        await using var silence = client.Time.CreateTimer(
            _ => end.Cancel(), null, pace.SilenceLimit, Timeout.InfiniteTimeSpan);
        var askingForLife = Task.CompletedTask;
        var token = "";
        try
        {
            token = await client.Login.TokenAsync(endpoint, end.Token);
            using var call = endpoint.Watch.Watch(
                new CallOptions(EtcdClient.Headers(token), cancellationToken: end.Token));
            var create = new WatchCreateRequest { Key = keys.Prefix, RangeEnd = keys.PrefixEnd, StartRevision = from };
            await EtcdClient.WriteAsync(call.RequestStream, new WatchRequest { CreateRequest = create }, end.Token);
            askingForLife = AskForLifeAsync(call.RequestStream, end.Token);
            while (await call.ResponseStream.MoveNext(end.Token))
            {
                silence.Change(pace.SilenceLimit, Timeout.InfiniteTimeSpan);
                client.Contact();
                if (Doubt(call.ResponseStream.Current, token) is { } doubt)
                {
                    return doubt;
                }
                Apply(call.ResponseStream.Current);
            }
            return new EtcdFailure(EtcdFailureKind.Unreachable, "the stream ended");
        }
        catch (Exception problem) when (end.IsCancellationRequested
            && problem is RpcException or OperationCanceledException)
        {
            return new EtcdFailure(
                EtcdFailureKind.Silent, $"no sign of life for {pace.SilenceLimit.TotalSeconds:0.###} s", problem);
        }
        catch (RpcException problem)
        {
            var failure = EtcdFailure.Of(problem);
            if (failure.Kind == EtcdFailureKind.NeedsLogin)
            {
                client.Login.Forget(token);
            }
            return failure;
        }
        catch (Exception problem) when (EtcdFailure.IsOfTransport(problem))
        {
            return new EtcdFailure(EtcdFailureKind.Unreachable, TransportProblem.Describe(problem), problem);
        }
        finally
        {
            await end.CancelAsync();
            await askingForLife;
        }
    }

    /// <summary>What makes an answer end the stream; null when it is in order.</summary>
    private EtcdFailure? Doubt(WatchResponse answer, string token)
    {
        if (answer.Canceled)
        {
            if (answer.CompactRevision > 0)
            {
                return new EtcdFailure(EtcdFailureKind.Refused,
                    $"history before revision {answer.CompactRevision} is compacted");
            }
            // An old token and a missing permission look the same here; the next read tells them apart.
            client.Login.Forget(token);
            return new EtcdFailure(EtcdFailureKind.NeedsLogin, $"the watch was cancelled: {answer.CancelReason}");
        }
        if (client.Lives.JudgePush(answer.Header) is { } doubt)
        {
            return new EtcdFailure(EtcdFailureKind.Silent, doubt);
        }
        if (answer.Created)
        {
            _failures = 0;
        }
        return null;
    }

    private void Apply(WatchResponse answer)
    {
        if (answer.Events.Count == 0)
        {
            return;   // a sign of life
        }
        var known = _snapshot!.Revision;
        var snapshot = _snapshot;
        foreach (var change in answer.Events)
        {
            var revision = change.Kv.ModRevision;
            if (revision <= known)
            {
                continue;
            }
            snapshot = change.Type == Event.Types.EventType.Delete
                ? SnapshotReader.Remove(snapshot, revision, keys.NameOf(change.Kv.Key))
                : SnapshotReader.Apply(snapshot, revision, keys.Raw(change.Kv));
        }
        if (!ReferenceEquals(snapshot, _snapshot))
        {
            _snapshot = snapshot;
            client.Lives.Saw(snapshot.Revision);
            if (snapshot.Leader is { } leader)
            {
                client.Lives.Led(leader.Term.Revision);
            }
            Publish(isLive: true);
        }
    }

    private async Task AskForLifeAsync(IClientStreamWriter<WatchRequest> requests, CancellationToken end)
    {
        try
        {
            while (true)
            {
                await Task.Delay(WatchPace.UntilNext(pace.Interval, client.Time), client.Time, end);
                await EtcdClient.WriteAsync(
                    requests, new WatchRequest { ProgressRequest = new WatchProgressRequest() }, end);
            }
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // the stream is over
        }
    }

    private void Publish(bool isLive) => views.TryWrite(new ClusterView(_snapshot!, isLive, client.LastContact));

    [LoggerMessage(EventId = 3020, Level = LogLevel.Warning,
        Message = "The keys of the cluster cannot be read from etcd: {Problem}")]
    private partial void LogNoRead(string problem);

    [LoggerMessage(EventId = 3021, Level = LogLevel.Information,
        Message = "The watch on etcd {Endpoint} ended ({Problem}); reading the keys anew")]
    private partial void LogLost(string endpoint, string problem);

    [LoggerMessage(EventId = 3022, Level = LogLevel.Warning,
        Message = "etcd was set up anew or restored: its leader key was created at revision {Revision}, before one "
            + "that was seen already. Counting its revisions anew (life {Life})")]
    private partial void LogOlderLeader(long revision, int life);
}
