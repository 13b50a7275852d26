using System.Runtime.CompilerServices;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.TestKit;

/// <summary>
/// One client of an <see cref="InMemoryDcs"/>, with a link that tests can cut, slow down and make forgetful.
/// </summary>
/// <remarks>
/// It does not resolve ambiguous writes: a write whose answer was lost is Unknown, so that tests see every Unknown that
/// the interface allows.
/// </remarks>
public sealed class InMemoryClusterStore : IClusterStore
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);
    private readonly InMemoryDcs _dcs;
    private readonly string _name;
    private readonly Lock _gate = new();
    private readonly List<Feed> _feeds = [];
    private bool _isCutOff;
    private bool _isMute;
    private bool _isDeaf;
    private long _silentSince;
    private int _answersToLose;
    private StoreLife? _life;
    private long _doubtSince;
    private int _doubted;
    private long _doubtFrom;

    internal InMemoryClusterStore(InMemoryDcs dcs, string name)
    {
        _dcs = dcs;
        _name = name;
    }

    /// <summary>How long a call waits for its answer. Default 3 s.</summary>
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>How long a cut link goes unnoticed by a watch. Default 2.5 s.</summary>
    public TimeSpan WatchSilenceLimit { get; set; } = TimeSpan.FromSeconds(2.5);

    /// <summary>
    /// How long a request travels; asked per request. Longer than the time-out: applied after it was given up.
    /// </summary>
    public Func<TimeSpan>? RequestDelay { get; set; }

    /// <summary>How long an answer travels; asked per answer.</summary>
    public Func<TimeSpan>? AnswerDelay { get; set; }

    /// <summary>How long a pushed change travels; asked per change. Changes never overtake each other.</summary>
    public Func<TimeSpan>? PushDelay { get; set; }

    /// <summary>
    /// After a <see cref="InMemoryDcs.Rebuild"/> or a <see cref="InMemoryDcs.Restore"/>: for so long after it first
    /// meets the new life this client believes no answer about it. Default 1 s.
    /// </summary>
    public TimeSpan LifeDoubt { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Which life of the store it follows; null before its first answer.</summary>
    public int? KnownLife
    {
        get
        {
            lock (_gate)
            {
                return _life?.Number;
            }
        }
    }

    /// <summary>What an earlier process knew, to be told before the first call.</summary>
    public void Recall(int? life)
    {
        lock (_gate)
        {
            _life = life is { } known ? new StoreLife(known, 0) : null;
        }
    }

    /// <summary>While true requests do not arrive, answers and pushed changes do not come back.</summary>
    public bool IsCutOff
    {
        get => _isCutOff;
        set => SetLink(ref _isCutOff, value);
    }

    /// <summary>
    /// While true requests do not arrive. A watch, whose questions do not arrive either, falls silent.
    /// </summary>
    public bool IsMute
    {
        get => _isMute;
        set => SetLink(ref _isMute, value);
    }

    /// <summary>While true requests arrive and are carried out; answers and pushed changes do not come back.</summary>
    public bool IsDeaf
    {
        get => _isDeaf;
        set => SetLink(ref _isDeaf, value);
    }

    /// <summary>The next calls are carried out, and their answers are lost.</summary>
    /// <param name="count">How many calls.</param>
    public void LoseAnswers(int count = 1) => Interlocked.Add(ref _answersToLose, count);

    /// <summary>While true the store refuses to delete the leader key.</summary>
    public bool RefusesReleases { get; set; }

    /// <summary>
    /// Called before each renewal of a lease. What it throws comes out of the call, as a mistake of the store's own
    /// would.
    /// </summary>
    public Func<Task>? BeforeRenewal { get; set; }

    private bool IsUp => Arrives && ComesBack;

    private bool Arrives => !_isCutOff && !_isMute && !_dcs.IsDown;

    private bool ComesBack => !_isCutOff && !_isDeaf && !_dcs.IsDown;

    private void SetLink(ref bool link, bool value)
    {
        if (link != value)
        {
            link = value;
            LinkChanged();
        }
    }

    /// <inheritdoc/>
    public ValueTask<ClusterSnapshot> ReadAsync(CancellationToken cancellationToken) =>
        AskAsync(() => InLife(_dcs.Snapshot), cancellationToken, isJudged: true);

    /// <inheritdoc/>
    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ClusterSnapshot? last = null;
        while (true)
        {
            using var feed = Subscribe();   // before the read: no change between the two is missed
            var read = await ReadUntilAnsweredAsync(cancellationToken);
            last = last is null || read.Life != last.Life || read.Revision > last.Revision ? read : last;
            yield return new ClusterView(last, IsLive: true, _dcs.Time.GetTimestamp());
            while (await feed.NextAsync(cancellationToken) is { } pushed)
            {
                if (pushed.Life.Number == last.Life.Number && pushed.Revision > last.Revision)
                {
                    last = InLife(pushed);
                    yield return new ClusterView(last, IsLive: true, _dcs.Time.GetTimestamp());
                }
            }
            yield return new ClusterView(last, IsLive: false, _silentSince);
        }
    }

    /// <inheritdoc/>
    public ValueTask<LeaseGrant> GrantLeaseAsync(TimeSpan ttl, CancellationToken cancellationToken) =>
        AskAsync(() => _dcs.Grant(ttl), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<TimeSpan?> ReadLeaseAsync(long leaseId, CancellationToken cancellationToken) =>
        AskAsync(() => _dcs.LeaseLeft(leaseId), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<RenewOutcome> RenewLeaseAsync(long leaseId, CancellationToken cancellationToken)
    {
        if (BeforeRenewal is { } before)
        {
            await before();
        }
        return await TryAskAsync(() => _dcs.Renew(leaseId), _ => RenewOutcome.Unknown, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<LeaderWrite> TryAcquireLeaderAsync(
        string member, long leaseId, RaceBasis? basis, CancellationToken cancellationToken) =>
        TryAskAsync(() => _dcs.Acquire(member, leaseId, basis), UnknownLeader, cancellationToken, isJudged: true);

    /// <inheritdoc/>
    public async ValueTask<LeaderWrite> TryKeepLeaderAsync(
        string member, long leaseId, CancellationToken cancellationToken)
    {
        while (true)
        {
            // A look first, as the real client does: a confirmation that arrives late changes nothing.
            var seen = await TryAskAsync(
                () => _dcs.Confirm(member), UnknownLeader, cancellationToken, isJudged: true);
            if (seen is not { Outcome: LeaseOutcome.Held, Leader: { } key } || key.LeaseId == leaseId)
            {
                return seen;
            }
            var moved = await TryAskAsync(
                () => _dcs.Move(key, leaseId), UnknownLeader, cancellationToken, isJudged: true);
            if (moved is not { Outcome: LeaseOutcome.Lost, Leader: { } other } || other.Holder != member)
            {
                return moved;
            }
            // Ours still, but written in between: look again.
        }
    }

    /// <inheritdoc/>
    public ValueTask<LeaderWrite> TryCarryLeaderAsync(
        string member, long leaseId, CancellationToken cancellationToken) =>
        TryAskAsync(
            () => _dcs.Carry(member, leaseId, _life ?? default), UnknownLeader, cancellationToken, isJudged: true);

    /// <inheritdoc/>
    public ValueTask<WriteOutcome> ReleaseLeaderAsync(string member, CancellationToken cancellationToken) =>
        TryAskAsync(
            () => RefusesReleases ? new WriteOutcome(WriteStatus.Refused, Problem: "permission denied")
                : _dcs.Release(member),
            UnknownWrite, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<WriteOutcome> PutAsync(
        string key, string value, WriteCondition condition, long leaseId, CancellationToken cancellationToken) =>
        TryAskAsync(() => _dcs.Put(key, value, condition, leaseId), UnknownWrite, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<WriteOutcome> DeleteAsync(
        string key, WriteCondition condition, CancellationToken cancellationToken) =>
        TryAskAsync(() => _dcs.Delete(key, condition), UnknownWrite, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DeleteClusterAsync(CancellationToken cancellationToken) =>
        await AskAsync(
            () =>
            {
                _dcs.DeleteAll();
                return true;
            },
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _dcs.Disconnect(this);
        return ValueTask.CompletedTask;
    }

    internal void Push(ClusterSnapshot snapshot)
    {
        lock (_gate)
        {
            foreach (var feed in _feeds)
            {
                feed.Push(snapshot, PushDelay?.Invoke() ?? TimeSpan.Zero);
            }
        }
    }

    internal void LinkChanged()
    {
        lock (_gate)
        {
            _silentSince = _dcs.Time.GetTimestamp();
            foreach (var feed in _feeds)
            {
                feed.Wake();
            }
        }
    }

    private static LeaderWrite UnknownLeader(string problem) => new(LeaseOutcome.Unknown, Problem: problem);

    private static WriteOutcome UnknownWrite(string problem) => new(WriteStatus.Unknown, Problem: problem);

    private async ValueTask<T> TryAskAsync<T>(
        Func<T> serve, Func<string, T> unknown, CancellationToken cancellationToken, bool isJudged = false)
    {
        var (answer, problem) = await RequestAsync(serve, isJudged, cancellationToken);
        return problem is null ? answer! : unknown(problem);
    }

    private async ValueTask<T> AskAsync<T>(Func<T> serve, CancellationToken cancellationToken, bool isJudged = false)
    {
        var (answer, problem) = await RequestAsync(serve, isJudged, cancellationToken);
        return problem is null ? answer! : throw new ClusterStoreException(problem);
    }

    /// <summary>The snapshot, with the life as this client saw it begin.</summary>
    private ClusterSnapshot InLife(ClusterSnapshot snapshot) => snapshot with { Life = _life ?? default };

    /// <summary>Whether an answer of the present life is believed: for a while after it began, it is not.</summary>
    private bool IsInDoubt()
    {
        var revision = _dcs.Snapshot.Revision;
        lock (_gate)
        {
            var life = _dcs.Life;
            if (_life is null)
            {
                _life = new StoreLife(life, 0);   // it knows no other
            }
            if (_life.Value.Number == life)
            {
                return false;
            }
            if (_doubted != life)
            {
                (_doubted, _doubtSince, _doubtFrom) = (life, _dcs.Time.GetTimestamp(), revision);
            }
            if (_dcs.Time.GetElapsedTime(_doubtSince) < LifeDoubt)
            {
                return true;
            }
            _life = new StoreLife(life, _doubtFrom);
            return false;
        }
    }

    /// <summary>
    /// One request. What goes wrong is told as a text: silence is too common to be worth an exception.
    /// </summary>
    private ValueTask<(T? Answer, string? Problem)> RequestAsync<T>(
        Func<T> serve, bool isJudged, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var answer = new TaskCompletionSource<(T? Answer, string? Problem)>(
            TaskCreationOptions.RunContinuationsAsynchronously);
        After(RequestDelay, () =>
        {
            if (!Arrives)
            {
                return;   // lost on its way
            }
            if (isJudged && IsInDoubt())
            {
                // Refused, and asked again a moment later, like a client that goes from endpoint to endpoint.
                After(static () => s_pause, () => answer.TrySetResult(
                    (default, $"The store does not answer {_name} in the life that is known.")));
                return;
            }
            var result = serve();
            if (!LosesAnswer())
            {
                After(AnswerDelay, () =>
                {
                    if (ComesBack)
                    {
                        answer.TrySetResult((result, null));
                    }
                });
            }
        });
        return answer.Task.IsCompletedSuccessfully ? new(answer.Task.Result) : WaitAsync(answer, cancellationToken);
    }

    // Not Task.WaitAsync, whose promise hops over the thread pool: equal calls shall give equal histories.
    private async ValueTask<(T? Answer, string? Problem)> WaitAsync<T>(
        TaskCompletionSource<(T? Answer, string? Problem)> answer, CancellationToken cancellationToken)
    {
        using var patience = _dcs.Time.CreateTimer(
            _ => answer.TrySetResult(
                (default, $"The store did not answer {_name} within {RequestTimeout.TotalSeconds} s.")),
            null, RequestTimeout, Timeout.InfiniteTimeSpan);
        using var given = cancellationToken.UnsafeRegister((_, token) => answer.TrySetCanceled(token), null);
        return await answer.Task;
    }

    private async ValueTask<ClusterSnapshot> ReadUntilAnsweredAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            // Silence is what a watch waits out; each try has waited for its own time-out.
            var (read, _) = await RequestAsync(() => InLife(_dcs.Snapshot), isJudged: true, cancellationToken);
            if (read is not null)
            {
                return read;
            }
        }
    }

    private bool LosesAnswer()
    {
        if (Volatile.Read(ref _answersToLose) == 0)
        {
            return false;
        }
        Interlocked.Decrement(ref _answersToLose);
        return true;
    }

    private void After(Func<TimeSpan>? delay, Action action)
    {
        var wait = delay?.Invoke() ?? TimeSpan.Zero;
        if (wait <= TimeSpan.Zero)
        {
            action();
            return;
        }
        ITimer? timer = null;
        timer = _dcs.Time.CreateTimer(
            _ =>
            {
                timer?.Dispose();
                action();
            },
            null, wait, Timeout.InfiniteTimeSpan);
    }

    private Feed Subscribe()
    {
        var feed = new Feed(this);
        lock (_gate)
        {
            _feeds.Add(feed);
        }
        return feed;
    }

    /// <summary>The pushed changes that are under way to one watch.</summary>
    private sealed class Feed : IDisposable
    {
        private readonly InMemoryClusterStore _store;
        private readonly Queue<(long Due, ClusterSnapshot Snapshot)> _underWay = new();
        private readonly ITimer _timer;
        private TaskCompletionSource _wake = NewWake();
        private readonly int _life;
        private long _lastDue;

        public Feed(InMemoryClusterStore store)
        {
            _store = store;
            _life = store._dcs.Life;
            _timer = Time.CreateTimer(_ => WakeLocked(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        private TimeProvider Time => _store._dcs.Time;

        /// <summary>Waits for the newest change that has arrived; null when the link was silent for too long.</summary>
        public async ValueTask<ClusterSnapshot?> NextAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                TaskCompletionSource wake;
                lock (_store._gate)
                {
                    _wake = NewWake();
                    wake = _wake;
                    while (true)
                    {
                        if (_store._dcs.Life != _life)
                        {
                            return null;   // the server that fed it is no more
                        }
                        if (_store.IsUp && TakeNewestArrived() is { } arrived)
                        {
                            return arrived;
                        }
                        if (UntilNext() is not { } wait)
                        {
                            _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                            break;
                        }
                        if (!_store.IsUp && wait <= TimeSpan.Zero)
                        {
                            return null;
                        }
                        _timer.Change(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
                        // A test's clock may have moved in between: the timer counts from after that, and would come
                        // too late.
                        if (UntilNext() > wait - TimeSpan.FromMilliseconds(1))
                        {
                            break;
                        }
                    }
                }
                using var given = cancellationToken.UnsafeRegister((_, token) => wake.TrySetCanceled(token), null);
                await wake.Task;
            }
        }

        public void Push(ClusterSnapshot snapshot, TimeSpan delay)
        {
            _lastDue = Math.Max(_lastDue, Time.GetTimestamp() + (long)(delay.TotalSeconds * Time.TimestampFrequency));
            _underWay.Enqueue((_lastDue, snapshot));
            Wake();
        }

        public void Wake() => _wake.TrySetResult();

        public void Dispose()
        {
            lock (_store._gate)
            {
                _store._feeds.Remove(this);
                _timer.Dispose();
            }
        }

        private static TaskCompletionSource NewWake() => new(TaskCreationOptions.RunContinuationsAsynchronously);

        private void WakeLocked()
        {
            lock (_store._gate)
            {
                Wake();
            }
        }

        /// <summary>
        /// Time until the next change arrives, or until the silence has lasted too long; null when neither is to come.
        /// </summary>
        private TimeSpan? UntilNext() =>
            !_store.IsUp ? _store.WatchSilenceLimit - Time.GetElapsedTime(_store._silentSince)
            : _underWay.TryPeek(out var next) ? Time.GetElapsedTime(Time.GetTimestamp(), next.Due)
            : null;

        private ClusterSnapshot? TakeNewestArrived()
        {
            ClusterSnapshot? newest = null;
            var now = Time.GetTimestamp();
            while (_underWay.TryPeek(out var next) && next.Due <= now)
            {
                newest = _underWay.Dequeue().Snapshot;
            }
            return newest;
        }
    }
}
