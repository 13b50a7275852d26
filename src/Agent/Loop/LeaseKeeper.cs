using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
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
    private volatile LeaseBelief _belief = new();

    /// <summary>What may be believed now.</summary>
    public LeaseView View
    {
        get
        {
            var belief = _belief;
            var now = time.GetTimestamp();
            return belief.Held is { } held
                ? new LeaseView(
                    true, held.Term, time.GetElapsedTime(now, belief.LeaderUntil), belief.IsUncertain,
                    belief.LeaderTtl)
                {
                    Reserve = listener.ReserveOf(belief.LeaderTtl),
                }
                : new LeaseView(false, default, TimeSpan.Zero, belief.IsUncertain, belief.Ttl)
                {
                    ReleaseLeft = belief.IsReleasePending && now < belief.ReleaseUntil
                        ? time.GetElapsedTime(now, belief.ReleaseUntil)
                        : TimeSpan.Zero,
                };
        }
    }

    /// <summary>
    /// Until when a primary here may run at the latest: the timestamp at which the fence acts. In the past when nothing
    /// is believed.
    /// </summary>
    public long Deadline => DeadlineOf(_belief);

    /// <summary>The key that we hold, for a snapshot that is older than it; null when we hold none.</summary>
    public LeaderKey? Held => _belief.Held;

    /// <summary>The newest term that we gave up: a snapshot that still shows it as ours is old.</summary>
    public Term ReleasedTerm => _belief.ReleasedTerm;

    /// <summary>
    /// Until when the members consent to this leader (failsafe mode); null: they do not. An answer of the DCS ends it.
    /// </summary>
    public long? VouchedUntil => _belief.VouchedUntil is not 0 and var until ? until : null;

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
        if (Change(belief => belief.WithTimes(timing)).Ttl == timing.Ttl)
        {
            return;
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
        Change(static belief => belief.WithTermReleased());
        PromiseRelease();
        Forget();
        await EnterAsync();
        try
        {
            PromiseRelease();   // the gate's last holder may have renewed the lease
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
                _sleep.Wake();   // the keeper asks again now, not with the next renewal
            }
        }
    }

    private void PromiseRelease() =>
        Change(belief => belief.WithReleasePromised(time.GetTimestamp() + time.TimestampsIn(belief.LongestTtl)));

    /// <summary>Deletes the key. The promise is kept when the answer is clear.</summary>
    private async Task<WriteOutcome> DeleteKeyAsync(CancellationToken cancellationToken)
    {
        var outcome = await store.ReleaseLeaderAsync(self, cancellationToken);
        if (outcome.Status is WriteStatus.Done or WriteStatus.Conflict)
        {
            Change(static belief => belief with { IsReleasePending = false });
        }
        return outcome;
    }

    /// <summary>Whether a key that was given up may still be there.</summary>
    private bool HasToRelease()
    {
        Change(belief => belief.WithReleaseLookedAt(time.GetTimestamp()));
        return _belief.IsReleasePending;
    }

    /// <summary>Stops believing in the leader key.</summary>
    public void Forget()
    {
        Change(static belief => belief.WithoutKey());
        Tell();
    }

    /// <summary>A pushed snapshot may tell that the key is gone or belongs to another.</summary>
    public void Observe(ClusterSnapshot snapshot)
    {
        Change(belief => snapshot.Life.Number > belief.SeenLife
            ? belief with { SeenLife = snapshot.Life.Number }
            : belief);
        if (_belief.Held is { } held && snapshot.Life.Number > held.Term.Life)
        {
            _sleep.Wake();   // of the key in an earlier life it tells nothing; the next renewal carries it over
            return;
        }
        if (Change(belief => belief.IsLostIn(snapshot) ? belief.WithoutKey() : belief).IsLostIn(snapshot))
        {
            LogLost(snapshot.Leader?.Holder ?? "nobody");
            Tell();
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
        if (Change(belief => belief.WithVouched(sentAt, until, DeadlineOf(until, belief.Ttl))).ConfirmedAt <= sentAt)
        {
            Tell();
        }
    }

    /// <summary>
    /// A member has refused its consent: what was vouched for counts no more, whatever time of it is left.
    /// </summary>
    /// <remarks>
    /// The guards get half of a safety margin, so that PostgreSQL is stopped by this agent rather than by them.
    /// </remarks>
    public void Withdraw()
    {
        var before = Change(belief => belief.VouchedUntil == 0
            ? belief
            : belief.WithConsentWithdrawn(
                time.GetTimestamp() + (time.TimestampsIn(Observation.SafetyMarginOf(belief.Ttl)) / 2)));
        if (before.VouchedUntil != 0)
        {
            Tell();
            listener.Wake();
        }
    }

    /// <summary>The lease for a key that is about to be put; grants one when there is none.</summary>
    /// <returns>0 when none can be had now.</returns>
    public async Task<long> LeaseForKeysAsync(CancellationToken cancellationToken)
    {
        if (_belief.Lease is { } lease)
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

    /// <summary>
    /// The store says that this lease of ours does not exist: a new one is granted before the next use, unless that was
    /// done meanwhile.
    /// </summary>
    public void LeaseIsGone(long id) =>
        Change(belief => belief.Lease?.Id == id ? belief with { Lease = null } : belief);

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
            var ttl = _belief.Ttl;
            ttl -= listener.ReserveOf(ttl);
            var pace = WatchPace.For(ttl);
            return pace < ttl / 5 ? pace : ttl / 5;
        }
    }

    /// <summary>
    /// A lease that carries no leader key may rest until two fifths of its life are over: it is renewed at every second
    /// moment.
    /// </summary>
    private bool MayRest() =>
        _belief is { MayRest: true } belief && time.GetElapsedTime(belief.RenewedAt) + Interval <= belief.Ttl * 0.4;

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
                return false;
            }
            if (!_belief.KeepsKey)
            {
                return true;
            }
            var before = Held;
            Foresee(lease, sentAt);
            var write = await store.TryKeepLeaderAsync(self, lease.Id, limit.Token);
            if (before is { } earlier && write.Outcome is LeaseOutcome.Held or LeaseOutcome.Lost
                && write.Life > earlier.Term.Life)
            {
                if (IsBelieved())
                {
                    // The store was set up anew or restored: a member that is believed to lead goes on, and says so
                    // there.
                    LogNewLife(write.Leader?.Holder ?? "nobody");
                    write = await store.TryCarryLeaderAsync(self, lease.Id, limit.Token);
                }
                else if (write.Outcome == LeaseOutcome.Held)
                {
                    return await GiveReturnedKeyUpAsync(limit.Token);
                }
            }
            if (_belief.IsReturned(write))
            {
                return await GiveReturnedKeyUpAsync(limit.Token);
            }
            Settle(write, sentAt, lease, before);
            return write.Outcome != LeaseOutcome.Unknown;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>
    /// The key came back with an older state of the store, and was over before: another may have led since.
    /// </summary>
    private async Task<bool> GiveReturnedKeyUpAsync(CancellationToken cancellationToken)
    {
        LogReturnedKey();
        Change(static belief => belief.WithTermReleased());
        PromiseRelease();
        Forget();
        listener.Wake();
        return await DeleteKeyAsync(cancellationToken) is { Status: WriteStatus.Done or WriteStatus.Conflict };
    }

    /// <summary>Whether the key may be believed in now: by its lease, or because others vouch.</summary>
    private bool IsBelieved() =>
        _belief is { Held: not null } belief && time.GetTimestamp() < belief.Until;

    private async Task<LeaderWrite> WriteLeaderAsync(
        Func<IClusterStore, string, long, CancellationToken, ValueTask<LeaderWrite>> write, TimeSpan? atMost,
        CancellationToken cancellationToken)
    {
        await EnterAsync();
        try
        {
            var sentAt = time.GetTimestamp();
            using var limit = Limit(cancellationToken, atMost);
            Change(static belief => belief.WithKeyWanted());
            for (var attempt = 0; ; attempt++)
            {
                if (await RenewAsync(limit.Token) is not { } lease)
                {
                    return new LeaderWrite(LeaseOutcome.Unknown, null, "the lease could not be renewed");
                }
                // Only now: a key that was given up and is not asked for again has to go.
                Change(static belief => belief with { IsReleasePending = false });
                Foresee(lease, sentAt);
                var result = await write(store, self, lease.Id, limit.Token);
                if (result.Outcome == LeaseOutcome.LeaseGone && attempt == 0)
                {
                    LeaseIsGone(lease.Id);
                    continue;
                }
                if (_belief.IsReturned(result))
                {
                    await GiveReturnedKeyUpAsync(limit.Token);
                    return new LeaderWrite(LeaseOutcome.Lost) { Life = result.Life };
                }
                Settle(result, sentAt, lease, null);
                return result;
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            var lost = new LeaderWrite(LeaseOutcome.Unknown, null, "no answer in time");
            Settle(lost, 0, null, null);
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
        if (_belief.Lease is { } lease)
        {
            var sentAt = time.GetTimestamp();
            switch (await store.RenewLeaseAsync(lease.Id, cancellationToken))
            {
                case RenewOutcome.Renewed:
                    Change(belief => belief with { RenewedAt = sentAt });
                    return lease;
                case RenewOutcome.Unknown:
                    return null;
                default:
                    LogLeaseGone();
                    LeaseIsGone(lease.Id);
                    break;
            }
        }
        return await GrantIfNoneAsync(cancellationToken);
    }

    private async Task<OwnLease?> GrantIfNoneAsync(CancellationToken cancellationToken)
    {
        var belief = _belief;
        if (belief.Lease is { } present)
        {
            return present;
        }
        var ttl = belief.Ttl;
        try
        {
            var sentAt = time.GetTimestamp();
            var granted = new OwnLease((await store.GrantLeaseAsync(ttl, cancellationToken)).Id, ttl);
            // A ttl that changed meanwhile makes this lease useless; the next round grants the right one.
            var before = Change(next => next with { Lease = next.Ttl == ttl ? granted : null, RenewedAt = sentAt });
            listener.Wake();
            return before.Ttl == ttl ? granted : null;
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
        var until = sentAt + time.TimestampsIn(lease.Ttl);
        var before = Change(belief => belief.WithShorterLease(lease, until));
        if (before.Held is null)
        {
            listener.DeadlineForeseen(DeadlineOf(until, lease.Ttl));
            return;
        }
        if (until >= before.LeaderUntil)
        {
            return;
        }
        Tell();
        listener.Wake();   // the time of the loop's next run was set by the longer lease
    }

    /// <summary>Draws the conclusion from an answer about the leader key.</summary>
    /// <param name="write">The answer.</param>
    /// <param name="sentAt">The timestamp before the request was sent.</param>
    /// <param name="lease">The lease that the request named; null: none was sent.</param>
    /// <param name="asked">
    /// The key that was asked about; when it was lost or released meanwhile, the answer is about the past. Null: any.
    /// </param>
    private void Settle(LeaderWrite write, long sentAt, OwnLease? lease, LeaderKey? asked)
    {
        var ttl = lease?.Ttl ?? TimeSpan.Zero;
        var before = Change(belief => IsOfThePast(belief) ? belief : write.Outcome switch
        {
            LeaseOutcome.Held =>
                belief.WithKey(write.Leader, sentAt + time.TimestampsIn(ttl), ttl, time.GetTimestamp()),
            LeaseOutcome.Lost or LeaseOutcome.LeaseGone => belief.WithoutKey(),
            _ => belief with { IsUncertain = true },
        });
        if (IsOfThePast(before))
        {
            return;
        }
        if (write.Outcome == LeaseOutcome.LeaseGone && lease is not null)
        {
            LeaseIsGone(lease.Id);
        }
        Tell();
        if (write.Outcome switch
        {
            LeaseOutcome.Held => before.Held is null || before.IsUncertain,
            LeaseOutcome.Lost or LeaseOutcome.LeaseGone => before.Held is not null || before.IsUncertain,
            _ => !before.IsUncertain,
        })
        {
            LogSettled(write.Outcome, write.Problem ?? write.Leader?.Holder ?? "");
            listener.Wake();
        }

        bool IsOfThePast(LeaseBelief belief) => (asked is not null && belief.Held != asked)
            || (write.Outcome == LeaseOutcome.Held && belief.IsReleasePending);
    }

    /// <summary>
    /// Reports the belief to the listener, one report at a time: an earlier one that came later would replace the newer
    /// deadline.
    /// </summary>
    private void Tell()
    {
        lock (_telling)
        {
            var belief = _belief;
            listener.ConvictionChanged(belief.Held is null
                ? null
                : new Conviction(belief.Until, DeadlineOf(belief), belief.LeaderTtl, belief.LeaderLoopWait));
        }
    }

    /// <summary>Swaps what is believed for what follows from it.</summary>
    /// <returns>What was believed before.</returns>
    private LeaseBelief Change(Func<LeaseBelief, LeaseBelief> next)
    {
        lock (_lock)
        {
            var before = _belief;
            _belief = next(before);
            return before;
        }
    }

    private long DeadlineOf(LeaseBelief belief) => Math.Max(
        belief.Held is null ? 0 : DeadlineOf(belief.LeaderUntil, belief.LeaderTtl), belief.VouchedDeadline);

    private long DeadlineOf(long until, TimeSpan ttl)
    {
        var reserve = listener.ReserveOf(ttl);
        return until - time.TimestampsIn(reserve) - (time.TimestampsIn(Observation.SafetyMarginOf(ttl - reserve)) / 2);
    }

    private TimedToken Limit(CancellationToken cancellationToken, TimeSpan? atMost = null)
    {
        var belief = _belief;
        var ttl = belief.BindingTtl;
        var reserve = listener.ReserveOf(ttl);
        var limit = TimeSpan.FromTicks(Math.Min(belief.RequestLimit.Ticks, (ttl - reserve).Ticks / 4));
        if (reserve > TimeSpan.Zero && limit > reserve)
        {
            limit = reserve;   // the watchdog counts from the answer, the lease from the question
        }
        limit = atMost < limit ? atMost.Value : limit;
        return TimedToken.After(limit, time, cancellationToken);
    }

    [LoggerMessage(EventId = 1101, Level = LogLevel.Warning,
        Message = "The loop has not finished a run within loop_wait + 2 × retry_timeout: the lease is not renewed")]
    private partial void LogLoopStuck();

    [LoggerMessage(
        EventId = 1102, Level = LogLevel.Warning, Message = "This member has lost the leader key: it names {Holder}")]
    private partial void LogLost(string holder);

    [LoggerMessage(EventId = 1103, Level = LogLevel.Warning,
        Message = "The lease of this member has ended in the DCS; asking for a new one")]
    private partial void LogLeaseGone();

    [LoggerMessage(EventId = 1104, Level = LogLevel.Warning, Message = "The DCS has granted no lease: {Problem}")]
    private partial void LogGrantFailed(string problem);

    [LoggerMessage(EventId = 1105, Level = LogLevel.Information, Message = "Leader key: {Outcome} {Detail}")]
    private partial void LogSettled(LeaseOutcome outcome, string detail);

    [LoggerMessage(EventId = 1106, Level = LogLevel.Information,
        Message = "The ttl is {Seconds} s now; asking for a new lease")]
    private partial void LogTtl(double seconds);

    [LoggerMessage(EventId = 1107, Level = LogLevel.Warning,
        Message = "The DCS was set up anew or restored, and its leader key names {Holder}: this member leads, and "
            + "writes its own name there")]
    private partial void LogNewLife(string holder);

    [LoggerMessage(EventId = 1108, Level = LogLevel.Warning,
        Message = "The DCS was restored, and a leader key of this member came back with it, whose lease is over: "
            + "another member may have led since, so the key is deleted")]
    private partial void LogReturnedKey();
}
