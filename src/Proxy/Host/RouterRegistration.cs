using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.Proxy.Routes;

namespace Routing.Proxy.Host;

/// <summary>
/// Makes this proxy known to the leader, and tells it when the proxy is ready for an announced switchover.
/// </summary>
/// <remarks>
/// The key hangs on a lease of its own: a proxy that is gone keeps no leader waiting for longer than that. A user who
/// may not write is asked again now and then; such a proxy follows the intent all the same.
/// </remarks>
/// <param name="store">The store.</param>
/// <param name="id">Names this proxy among the routers of the cluster.</param>
/// <param name="router">Tells of intents.</param>
/// <param name="restlessAt">How many sessions at a member are not at rest.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Told whether it may register.</param>
internal sealed partial class RouterRegistration(
    IClusterStore store, string id, Router router, Func<string, int> restlessAt, TimeProvider time, ILogger logger)
    : IDisposable
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan s_tellBusy = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_refused = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _changed = new(0, 1);
    private long _lease;
    private long _renewAt;
    private RouterRecord? _written;   // on this lease
    private long _writtenAt;
    private bool? _isAllowed;

    /// <summary>Its key stands, as far as is known. Any thread.</summary>
    public bool IsRegistered => Volatile.Read(ref _written) is not null;

    /// <summary>Registers, and stays registered until told to stop; then the key is deleted.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        router.Changed += OnChanged;
        try
        {
            while (!cancellationToken.IsCancellationRequested)
            {
                var wait = await TendSafelyAsync(cancellationToken);
                await _changed.WaitAsync(wait, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // told to stop
        }
        finally
        {
            router.Changed -= OnChanged;
        }
        await LeaveAsync();
    }

    /// <inheritdoc/>
    public void Dispose() => _changed.Dispose();

    private void OnChanged()
    {
        if (_changed.CurrentCount == 0)
        {
            try
            {
                _changed.Release();
            }
            catch (SemaphoreFullException)
            {
                // another change has just done it
            }
        }
    }

    /// <returns>How long nothing has to be done, unless the routes change.</returns>
    private async ValueTask<TimeSpan> TendSafelyAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await TendAsync(cancellationToken);
        }
        catch (ClusterStoreException)
        {
            return s_again;   // etcd is silent, which the topology tells
        }
    }

    private async ValueTask<TimeSpan> TendAsync(CancellationToken cancellationToken)
    {
        if (_isAllowed == false && time.GetTimestamp() < _renewAt)
        {
            return Until(_renewAt);
        }
        if (_lease == 0)
        {
            var asked = time.GetTimestamp();
            _lease = (await store.GrantLeaseAsync(s_ttl, cancellationToken)).Id;
            _renewAt = asked + time.TimestampsIn(s_ttl / 3);
        }
        else if (time.GetTimestamp() >= _renewAt)
        {
            var asked = time.GetTimestamp();
            switch (await store.RenewLeaseAsync(_lease, cancellationToken))
            {
                case RenewOutcome.Gone:
                    Forget();
                    return TimeSpan.Zero;
                case RenewOutcome.Unknown:
                    return s_again;
                default:
                    _renewAt = asked + time.TimestampsIn(s_ttl / 3);
                    break;
            }
        }
        var hold = router.Hold;
        var busy = hold is null ? 0 : restlessAt(hold.Leader);
        var record = new RouterRecord(id, "proxy", hold is not null && busy == 0 ? hold.Id : null, busy);
        if (Matters(record) && !await TryWriteAsync(record, cancellationToken))
        {
            return _isAllowed == false ? Until(_renewAt) : s_again;
        }
        return hold is not null && busy > 0 ? s_look : Until(_renewAt);
    }

    // While nothing is announced, what was said last may stand.
    private bool Matters(RouterRecord record) =>
        _written is not { } before || (record.Ready is not null && record.Ready != before.Ready)
        || (record.Busy > 0 && record.Busy != before.Busy && time.GetElapsedTime(_writtenAt) >= s_tellBusy);

    private async ValueTask<bool> TryWriteAsync(RouterRecord record, CancellationToken cancellationToken)
    {
        var written = await store.PutAsync(
            ClusterKeys.RoutersPrefix + id, KeyWriter.Router(record), WriteCondition.Always, _lease, cancellationToken);
        switch (written.Status)
        {
            case WriteStatus.Done:
                if (_isAllowed != true)
                {
                    LogRegistered(id);
                }
                _isAllowed = true;
                Volatile.Write(ref _written, record);
                _writtenAt = time.GetTimestamp();
                return true;
            case WriteStatus.Refused:
                if (_isAllowed != false)
                {
                    LogRefused(written.Problem ?? "refused");
                }
                _isAllowed = false;
                Forget();
                _renewAt = time.TimestampAfter(s_refused);
                return false;
            case WriteStatus.LeaseGone:
                Forget();
                return false;
            default:
                return false;
        }
    }

    private void Forget()
    {
        _lease = 0;
        Volatile.Write(ref _written, null);
    }

    private async Task LeaveAsync()
    {
        if (_written is null)
        {
            return;
        }
        using var limit = new CancellationTokenSource(s_farewell, time);
        try
        {
            await store.DeleteAsync(ClusterKeys.RoutersPrefix + id, WriteCondition.Always, limit.Token);
        }
        catch (Exception error) when (error is ClusterStoreException or OperationCanceledException)
        {
            // its lease ends
        }
    }

    private TimeSpan Until(long timestamp)
    {
        var left = time.GetElapsedTime(time.GetTimestamp(), timestamp);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    [LoggerMessage(EventId = 6415, Level = LogLevel.Information,
        Message = "Registered as the router {Id}: a leader that hands over waits until this proxy is ready")]
    private partial void LogRegistered(string id);

    [LoggerMessage(EventId = 6416, Level = LogLevel.Information,
        Message = "This proxy may not write to etcd, so that a leader that hands over does not wait for it: {Problem}")]
    private partial void LogRefused(string problem);
}
