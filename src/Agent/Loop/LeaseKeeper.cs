using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Keeps the process's one lease, and knows how far the leader key may be believed in.</summary>
/// <remarks>
/// <para>It runs on its own schedule, several times per ttl, so that a slow PostgreSQL never costs the lease; but it
/// renews only while the loop shows that it is alive. Conviction ends one ttl after the moment <i>before</i> the last
/// good renewal was sent, by the monotonic clock.</para>
/// <para>A renewal of the leader is two steps: the keep-alive of the lease, and a linearizable look that the key is
/// still ours on this lease. Only when both were answered does the conviction move.</para>
/// <para>A changed ttl means a new lease, and the key is put on it. Until the answer is there, what is believed is what
/// the shorter of the two leases gives; the guards are told before the request is sent.</para>
/// </remarks>
internal sealed partial class LeaseKeeper(
    IClusterStore store, string self, ILeaseListener listener, TimeProvider time, ILogger<LeaseKeeper> logger)
        : IDisposable
{
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly LoopSignal _sleep = new(time);
    private readonly Lock _lock = new();
    private readonly Lock _telling = new();
    private LeaderKey? _held;
    private long _leaderUntil;
    private TimeSpan _leaderTtl = Timing.Default.Ttl;
    private TimeSpan _leaderLoopWait = Timing.Default.LoopWait;
    private long _confirmedAt;
    private long _vouchedUntil;
    private long _vouchedDeadline;
    private bool _uncertain;
    private bool _wanted;
    private Term _releasedTerm;
    private bool _releasePending;
    private long _releaseUntil;
    private OwnLease? _lease;
    private TimeSpan _ttl = Timing.Default.Ttl;
    private TimeSpan _loopWait = Timing.Default.LoopWait;
    private TimeSpan _requestLimit = Timing.Default.RetryTimeout;
    private long _renewedAt;

    /// <summary>Count of renewals that got no answer.</summary>
    public long FailedRenewals { get; private set; }

    /// <summary>What may be believed now.</summary>
    public LeaseView View
    {
        get
        {
            lock (_lock)
            {
                var now = time.GetTimestamp();
                return _held is { } held
                    ? new LeaseView(true, held.Term, time.GetElapsedTime(now, _leaderUntil), _uncertain, _leaderTtl)
                    {
                        Reserve = listener.ReserveOf(_leaderTtl),
                    }
                    : new LeaseView(false, default, TimeSpan.Zero, _uncertain, _ttl)
                    {
                        ReleaseLeft = _releasePending && now < _releaseUntil
                            ? time.GetElapsedTime(now, _releaseUntil)
                            : TimeSpan.Zero,
                    };
            }
        }
    }

    /// <summary>
    /// Until when a primary here may run at the latest: the timestamp at which the fence acts. In the past when nothing
    /// is believed.
    /// </summary>
    public long Deadline
    {
        get
        {
            lock (_lock)
            {
                return Math.Max(_held is null ? 0 : DeadlineOf(_leaderUntil, _leaderTtl), _vouchedDeadline);
            }
        }
    }

    /// <summary>The key that we hold, for a snapshot that is older than it; null when we hold none.</summary>
    public LeaderKey? Held
    {
        get
        {
            lock (_lock)
            {
                return _held;
            }
        }
    }

    /// <summary>The newest term that we gave up: a snapshot that still shows it as ours is old.</summary>
    public Term ReleasedTerm
    {
        get
        {
            lock (_lock)
            {
                return _releasedTerm;
            }
        }
    }

    /// <summary>Renews until cancelled. Owns every grant and keep-alive.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var good = true;
            try
            {
                if (listener.IsLoopAlive)
                {
                    good = await TickAsync(cancellationToken);
                }
                else
                {
                    LogLoopStuck();
                }
                // On the moments of the watch's own question: an idle agent wakes once for both.
                await _sleep.SleepAsync(good ? WatchPace.UntilNext(Interval, time) : RetryInterval, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <summary>Adopts the times in force. A changed ttl means a new lease, and the keys are put on it.</summary>
    public void Adopt(Timing timing)
    {
        lock (_lock)
        {
            (_requestLimit, _loopWait) = (timing.RetryTimeout, timing.LoopWait);
            if (_ttl == timing.Ttl)
            {
                return;
            }
            _ttl = timing.Ttl;
            _lease = null;
        }
        _sleep.Wake();   // a shorter ttl can be over before the present sleep is
        LogTtl(timing.Ttl.TotalSeconds);
    }

    /// <summary>Tries to take the leader key.</summary>
    /// <param name="atMost">
    /// The longest that it may take; null: as long as any request. Without an answer the key is uncertain.
    /// </param>
    /// <param name="basis">
    /// What the decision to race was made by: without it the key is not taken. Null: whatever stands there.
    /// </param>
    /// <param name="cancellationToken">Gives up; then nothing is concluded.</param>
    public Task<LeaderWrite> AcquireAsync(
        TimeSpan? atMost, RaceBasis? basis, CancellationToken cancellationToken) =>
        WriteLeaderAsync(
            (store, self, lease, token) => store.TryAcquireLeaderAsync(self, lease, basis, token), atMost,
            cancellationToken);

    /// <summary>Confirms a key that carries our name, perhaps on the lease of an earlier life.</summary>
    public Task<LeaderWrite> AttachAsync(CancellationToken cancellationToken) =>
        WriteLeaderAsync(static (store, self, lease, token) => store.TryKeepLeaderAsync(self, lease, token), null,
            cancellationToken);

    /// <summary>
    /// Gives the leader key up. From here on nothing believes in it, whatever the DCS answers. Without a clear answer
    /// the keeper asks again and again, and leaves the lease to end meanwhile (<see cref="LeaseView.ReleaseLeft"/>).
    /// </summary>
    public async Task<WriteOutcome> ReleaseAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _releasedTerm = _held is { } held && held.Term > _releasedTerm ? held.Term : _releasedTerm;
            PromiseRelease();
        }
        Forget();
        await EnterAsync();
        try
        {
            lock (_lock)
            {
                PromiseRelease();   // the gate's last holder may have renewed the lease
            }
            using var limit = Limit(cancellationToken);
            return await DeleteKeyAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new WriteOutcome(WriteStatus.Unknown, Problem: "no answer in time");
        }
        finally
        {
            _gate.Release();
            if (HasToRelease())
            {
                _sleep.Wake();   // it asks again now, not with the next renewal
            }
        }
    }

    /// <summary>
    /// The key has to go. The lease is not renewed from here on, so that the key ends with it at the latest. Needs the
    /// lock.
    /// </summary>
    private void PromiseRelease() =>
        (_releasePending, _releaseUntil) = (true, time.GetTimestamp() + Ticks(Longer(_ttl, _leaderTtl)));

    private static TimeSpan Longer(TimeSpan left, TimeSpan right) => left > right ? left : right;

    /// <summary>Deletes the key. The promise is kept when the answer is clear.</summary>
    private async Task<WriteOutcome> DeleteKeyAsync(CancellationToken cancellationToken)
    {
        var outcome = await store.ReleaseLeaderAsync(self, cancellationToken);
        if (outcome.Status is WriteStatus.Done or WriteStatus.Conflict)
        {
            lock (_lock)
            {
                _releasePending = false;
            }
        }
        return outcome;
    }

    /// <summary>Whether a key that was given up may still be there.</summary>
    private bool HasToRelease()
    {
        lock (_lock)
        {
            _releasePending &= _held is null && time.GetTimestamp() < _releaseUntil;
            return _releasePending;
        }
    }

    /// <summary>Stops believing in the leader key.</summary>
    public void Forget()
    {
        lock (_lock)
        {
            _held = null;
            _uncertain = false;
            _wanted = false;
        }
        Tell();
    }

    /// <summary>A pushed snapshot may tell that the key is gone or belongs to another.</summary>
    public void Observe(ClusterSnapshot snapshot)
    {
        lock (_lock)
        {
            if (_held is not { } held || snapshot.Life.Number < held.Term.Life)
            {
                return;
            }
            if (snapshot.Life.Number > held.Term.Life)
            {
                _sleep.Wake();   // of the key in an earlier life it tells nothing; the next renewal carries it over
                return;
            }
            // A key that was written over, not deleted, keeps its term.
            if (snapshot.Revision < held.ModRevision
                || (snapshot.Leader is { } leader && leader.Term == held.Term && leader.Holder == held.Holder))
            {
                return;
            }
            _held = null;
            _uncertain = false;
            _wanted = false;
        }
        LogLost(snapshot.Leader?.Holder ?? "nobody");
        Tell();
    }

    /// <summary>
    /// Until when others vouch for this leader (failsafe mode); null when nobody does. The DCS's own word ends it.
    /// </summary>
    public long? VouchedUntil
    {
        get
        {
            lock (_lock)
            {
                return _vouchedUntil == 0 ? null : _vouchedUntil;
            }
        }
    }

    /// <summary>
    /// The members vouch for this leader in the DCS's stead (failsafe mode): guards may wait as long.
    /// </summary>
    /// <param name="sentAt">
    /// The timestamp before they were asked. What the DCS has confirmed since counts for more.
    /// </param>
    /// <param name="until">How long they do.</param>
    public void Vouch(long sentAt, long until)
    {
        lock (_lock)
        {
            if (_confirmedAt > sentAt)
            {
                return;
            }
            _vouchedUntil = Math.Max(_vouchedUntil, until);
            _vouchedDeadline = Math.Max(_vouchedDeadline, DeadlineOf(until, _ttl));
        }
        Tell();
    }

    /// <summary>
    /// A member has refused its consent: what was vouched for counts no more, whatever time of it is left.
    /// </summary>
    /// <remarks>
    /// The guards get half of a safety margin, so that PostgreSQL is stopped by this agent rather than by them.
    /// </remarks>
    public void Withdraw()
    {
        lock (_lock)
        {
            if (_vouchedUntil == 0)
            {
                return;
            }
            var soon = time.GetTimestamp() + (Ticks(Observation.SafetyMarginOf(_ttl)) / 2);
            (_vouchedUntil, _vouchedDeadline) = (0, Math.Min(_vouchedDeadline, soon));
        }
        Tell();
        listener.Wake();
    }

    /// <summary>The lease for a key that is about to be put; grants one when there is none.</summary>
    /// <returns>0 when none can be had now.</returns>
    public async Task<long> LeaseForKeysAsync(CancellationToken cancellationToken)
    {
        if (_lease is { } lease)
        {
            return lease.Id;
        }
        await EnterAsync();
        try
        {
            using var limit = Limit(cancellationToken);
            return await GrantIfNoneAsync(limit.Token) is { } granted ? granted.Id : 0;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return 0;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>The store says that our lease does not exist: grant a new one before the next use.</summary>
    public void LeaseIsGone()
    {
        lock (_lock)
        {
            _lease = null;
        }
    }

    public void Dispose()
    {
        _gate.Dispose();
        _sleep.Dispose();
    }

    /// <summary>
    /// Waits for its turn; every holder of the gate is bounded by <see cref="Limit"/>, so this needs no token.
    /// </summary>
    private Task EnterAsync() => _gate.WaitAsync(CancellationToken.None);

    private TimeSpan Interval
    {
        get
        {
            lock (_lock)
            {
                var ttl = _ttl - listener.ReserveOf(_ttl);
                var pace = WatchPace.For(ttl);
                return pace < ttl / 5 ? pace : ttl / 5;
            }
        }
    }

    /// <summary>
    /// A lease that carries no leader key may rest until two fifths of its life are over: it is renewed at every second
    /// moment.
    /// </summary>
    private bool MayRest()
    {
        lock (_lock)
        {
            return _held is null && !_uncertain && !_wanted && !_releasePending && _lease is not null
                && time.GetElapsedTime(_renewedAt) + Interval <= _ttl * 0.4;
        }
    }

    private static TimeSpan RetryInterval => TimeSpan.FromMilliseconds(250);

    /// <summary>One renewal. False: there was no good answer, try again soon.</summary>
    private async Task<bool> TickAsync(CancellationToken cancellationToken)
    {
        if (MayRest())
        {
            return true;
        }
        await EnterAsync();
        try
        {
            var sentAt = time.GetTimestamp();
            using var limit = Limit(cancellationToken);
            if (HasToRelease())
            {
                if (await DeleteKeyAsync(limit.Token) is not { Status: WriteStatus.Done or WriteStatus.Conflict })
                {
                    return false;   // a renewal would keep the key alive
                }
                listener.Wake();   // the agent may be waiting for this, to end
            }
            if (await RenewAsync(limit.Token) is not { } lease)
            {
                FailedRenewals++;
                return false;
            }
            bool keeps;
            lock (_lock)
            {
                keeps = _held is not null || (_uncertain && _wanted);
            }
            if (!keeps)
            {
                return true;
            }
            var before = Held;
            Foresee(lease, sentAt);
            var write = await store.TryKeepLeaderAsync(self, lease.Id, limit.Token);
            if (before is { } earlier && write.Outcome is LeaseOutcome.Held or LeaseOutcome.Lost
                && write.Life > earlier.Term.Life
                && IsBelieved())
            {
                // The store was set up anew or restored: who is believed to lead goes on, and says so there.
                LogNewLife(write.Leader?.Holder ?? "nobody");
                write = await store.TryCarryLeaderAsync(self, lease.Id, limit.Token);
            }
            Settle(write, sentAt, lease.Ttl, before);
            return write.Outcome != LeaseOutcome.Unknown;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            FailedRenewals++;
            return false;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Whether the key may be believed in now: by its lease, or because others vouch.</summary>
    private bool IsBelieved()
    {
        lock (_lock)
        {
            return _held is not null && time.GetTimestamp() < Math.Max(_leaderUntil, _vouchedUntil);
        }
    }

    private async Task<LeaderWrite> WriteLeaderAsync(
        Func<IClusterStore, string, long, CancellationToken, ValueTask<LeaderWrite>> write, TimeSpan? atMost,
        CancellationToken cancellationToken)
    {
        await EnterAsync();
        try
        {
            var sentAt = time.GetTimestamp();
            using var limit = Limit(cancellationToken, atMost);
            lock (_lock)
            {
                _wanted = true;
            }
            for (var attempt = 0; ; attempt++)
            {
                if (await RenewAsync(limit.Token) is not { } lease)
                {
                    return new LeaderWrite(LeaseOutcome.Unknown, null, "the lease could not be renewed");
                }
                lock (_lock)
                {
                    _releasePending = false;   // only now: a key that was given up and is not asked for again has to go
                }
                Foresee(lease, sentAt);
                var result = await write(store, self, lease.Id, limit.Token);
                if (result.Outcome == LeaseOutcome.LeaseGone && attempt == 0)
                {
                    LeaseIsGone();
                    continue;
                }
                Settle(result, sentAt, lease.Ttl, null);
                return result;
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            var lost = new LeaderWrite(LeaseOutcome.Unknown, null, "no answer in time");
            Settle(lost, 0, TimeSpan.Zero, null);
            return lost;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>A full life for the lease, by a keep-alive or a new grant.</summary>
    /// <returns>The lease that lives now, whatever is adopted meanwhile; null: none could be had.</returns>
    private async Task<OwnLease?> RenewAsync(CancellationToken cancellationToken)
    {
        if (_lease is { } lease)
        {
            var sentAt = time.GetTimestamp();
            switch (await store.RenewLeaseAsync(lease.Id, cancellationToken))
            {
                case RenewOutcome.Renewed:
                    _renewedAt = sentAt;
                    return lease;
                case RenewOutcome.Unknown:
                    return null;
                default:
                    LogLeaseGone();
                    LeaseIsGone();
                    break;
            }
        }
        return await GrantIfNoneAsync(cancellationToken);
    }

    private async Task<OwnLease?> GrantIfNoneAsync(CancellationToken cancellationToken)
    {
        if (_lease is { } present)
        {
            return present;
        }
        TimeSpan ttl;
        lock (_lock)
        {
            ttl = _ttl;
        }
        try
        {
            var sentAt = time.GetTimestamp();
            var granted = new OwnLease((await store.GrantLeaseAsync(ttl, cancellationToken)).Id, ttl);
            bool isInForce;
            lock (_lock)
            {
                // A ttl that changed meanwhile makes this lease useless; the next round grants the right one.
                isInForce = ttl == _ttl;
                _lease = isInForce ? granted : null;
            }
            _renewedAt = sentAt;
            listener.Wake();
            return isInForce ? granted : null;
        }
        catch (ClusterStoreException problem)
        {
            LogGrantFailed(problem.Message);
            return null;
        }
    }

    /// <summary>
    /// The key is about to be put on a lease that may be shorter than the one it hangs on: from here on it is believed
    /// in for no longer than that one lives, should the answer be late or we be frozen.
    /// </summary>
    private void Foresee(OwnLease lease, long sentAt)
    {
        var until = sentAt + Ticks(lease.Ttl);
        bool isHeld;
        lock (_lock)
        {
            isHeld = _held is not null;
            if (isHeld && until >= _leaderUntil)
            {
                return;
            }
            if (isHeld)
            {
                (_leaderUntil, _leaderTtl, _leaderLoopWait) = (until, lease.Ttl, _loopWait);
            }
        }
        if (!isHeld)
        {
            listener.DeadlineForeseen(DeadlineOf(until, lease.Ttl));
            return;
        }
        Tell();
        listener.Wake();   // the loop's next run was set by the longer one
    }

    /// <summary>Draws the conclusion from an answer about the leader key.</summary>
    /// <param name="write">The answer.</param>
    /// <param name="sentAt">The timestamp before the request was sent.</param>
    /// <param name="ttl">Life of the lease that the request named.</param>
    /// <param name="asked">
    /// The key that was asked about; when it was lost or released meanwhile, the answer is about the past. Null: any.
    /// </param>
    private void Settle(LeaderWrite write, long sentAt, TimeSpan ttl, LeaderKey? asked)
    {
        var changed = false;
        lock (_lock)
        {
            if ((asked is not null && _held != asked) || (write.Outcome == LeaseOutcome.Held && _releasePending))
            {
                return;
            }
            switch (write.Outcome)
            {
                case LeaseOutcome.Held:
                    changed = _held is null || _uncertain;
                    _held = write.Leader ?? _held;
                    _uncertain = false;
                    (_leaderUntil, _leaderTtl) = (sentAt + Ticks(ttl), ttl);
                    _leaderLoopWait = ttl == _ttl ? _loopWait : _leaderLoopWait;
                    // Who is asked next time is known by the DCS from here on, and may be others than those who have
                    // vouched.
                    (_confirmedAt, _vouchedUntil, _vouchedDeadline) = (time.GetTimestamp(), 0, 0);
                    break;
                case LeaseOutcome.Lost or LeaseOutcome.LeaseGone:
                    changed = _held is not null || _uncertain;
                    _held = null;
                    _uncertain = false;
                    _wanted = false;
                    break;
                default:
                    changed = !_uncertain;
                    _uncertain = true;
                    break;
            }
        }
        if (write.Outcome == LeaseOutcome.LeaseGone)
        {
            LeaseIsGone();
        }
        Tell();
        if (changed)
        {
            LogSettled(write.Outcome, write.Problem ?? write.Leader?.Holder ?? "");
            listener.Wake();
        }
    }

    /// <summary>
    /// Tells what is believed; in order, as a later deadline that comes first would be put back by the earlier one.
    /// </summary>
    private void Tell()
    {
        lock (_telling)
        {
            Conviction? conviction = null;
            lock (_lock)
            {
                if (_held is not null)
                {
                    conviction = new Conviction(
                        Math.Max(_leaderUntil, _vouchedUntil),
                        Math.Max(DeadlineOf(_leaderUntil, _leaderTtl), _vouchedDeadline), _leaderTtl,
                        _leaderLoopWait);
                }
            }
            listener.ConvictionChanged(conviction);
        }
    }

    private long DeadlineOf(long until, TimeSpan ttl)
    {
        var reserve = listener.ReserveOf(ttl);
        return until - Ticks(reserve) - (Ticks(Observation.SafetyMarginOf(ttl - reserve)) / 2);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);

    private TimedToken Limit(CancellationToken cancellationToken, TimeSpan? atMost = null)
    {
        TimeSpan limit;
        lock (_lock)
        {
            // While the key hangs on a shorter lease, requests have to fit into that one.
            var ttl = _held is not null && _leaderTtl < _ttl ? _leaderTtl : _ttl;
            var reserve = listener.ReserveOf(ttl);
            limit = TimeSpan.FromTicks(Math.Min(_requestLimit.Ticks, (ttl - reserve).Ticks / 4));
            if (reserve > TimeSpan.Zero && limit > reserve)
            {
                limit = reserve;   // the watchdog counts from the answer, the lease from the question
            }
        }
        limit = atMost < limit ? atMost.Value : limit;
        return TimedToken.After(limit, time, cancellationToken);
    }

    [LoggerMessage(EventId = 1101, Level = LogLevel.Warning,
        Message = "The loop has not finished a run within its bound: the lease is not renewed")]
    private partial void LogLoopStuck();

    [LoggerMessage(
        EventId = 1102, Level = LogLevel.Warning, Message = "The leader key is not ours any more: it names {Holder}")]
    private partial void LogLost(string holder);

    [LoggerMessage(
        EventId = 1103, Level = LogLevel.Warning, Message = "Our lease does not exist any more; granting a new one")]
    private partial void LogLeaseGone();

    [LoggerMessage(EventId = 1104, Level = LogLevel.Warning, Message = "No lease could be had: {Problem}")]
    private partial void LogGrantFailed(string problem);

    [LoggerMessage(EventId = 1105, Level = LogLevel.Information, Message = "The leader key: {Outcome} {Detail}")]
    private partial void LogSettled(LeaseOutcome outcome, string detail);

    [LoggerMessage(EventId = 1106, Level = LogLevel.Information,
        Message = "The ttl is {Seconds} s now; a new lease will be granted")]
    private partial void LogTtl(double seconds);

    [LoggerMessage(EventId = 1107, Level = LogLevel.Warning,
        Message = "The store was set up anew or restored, and its leader key names {Holder}: this member leads, and "
            + "puts its own there")]
    private partial void LogNewLife(string holder);

    /// <summary>A lease of ours.</summary>
    /// <param name="Id">Its number.</param>
    /// <param name="Ttl">What we asked for, not what was granted: the DCS may round up, we never do.</param>
    private sealed record OwnLease(long Id, TimeSpan Ttl);
}
