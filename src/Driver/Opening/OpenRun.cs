using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Driver.Diagnostics;
using Routing.Driver.Members;
using Routing.Driver.Routes;

namespace Routing.Driver.Opening;

/// <summary>
/// One open that could not be served from a pool at once: waits for a fit member and tries, until there is a connection
/// or the time is over.
/// </summary>
/// <remarks>
/// A machine. It chooses a member by the newest picture of the cluster; it makes an attempt there; after a failure it
/// chooses another member, or takes its place before a full pool; and where no member is left to try it waits for a
/// change of the cluster, or for a little time, and chooses again.
/// </remarks>
/// <param name="router">The router of the cluster.</param>
/// <param name="types">Loads the database's types where a pool does not know them yet.</param>
/// <param name="target">What the connection is for.</param>
/// <param name="routeOf">
/// A route of the caller's, by the newest picture; null: the target's own. With no member on it the open ends at once.
/// </param>
/// <param name="begun">The attempt to begin with; null: the choice is free.</param>
/// <param name="isAsync">False: blocks the thread.</param>
/// <param name="cancellationToken">Gives up.</param>
internal sealed class OpenRun(
    ClusterRouter router, SharedTypes types, TargetSessionAttributes target, Func<Picture, Route>? routeOf,
    Attempt? begun, bool isAsync, CancellationToken cancellationToken) : IDisposable
{
    private static readonly Backoff s_pauses = new(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(500));

    private readonly long _began = router.Time.GetTimestamp();
    private readonly string _word = Targets.Word(target);
    private readonly List<OpenAttempt> _failed = [];
    private readonly HashSet<string> _tried = new(StringComparer.Ordinal);   // since the open last waited
    private readonly PlaceInLine _place = new();
    private Attempt? _begun = begun;
    private Picture _picture = router.Current;
    private Route? _route;
    private Attempt? _attempt;   // null: no member can be tried
    private NpgsqlConnection? _connection;
    private Exception? _last;
    private int _pauses;         // waits that followed a failure
    private bool _hasWaited;

    private enum State
    {
        /// <summary>A member is chosen by the newest picture.</summary>
        Choosing,

        /// <summary>A member was chosen: one attempt is made there.</summary>
        Attempting,

        /// <summary>The member's pool is full: the open waits for its turn there.</summary>
        Queueing,

        /// <summary>No member is left to try: the open waits for a change.</summary>
        Waiting,

        /// <summary>There is a connection.</summary>
        Open,
    }

    // Timers end a little early: what is too short for anything counts as nothing.
    private TimeSpan Left =>
        router.Options.OpenTimeout - router.Time.GetElapsedTime(_began) is var left && left > AttemptRun.ShortestWait
            ? left
            : TimeSpan.Zero;

    /// <summary>Opens the connection.</summary>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    /// <exception cref="OperationCanceledException">
    /// The caller gave up; its cause is the <see cref="NoHostException"/> that says what was tried.
    /// </exception>
    public async ValueTask<NpgsqlConnection> RunAsync()
    {
        using var activity = DriverActivities.Open(router.Name, _word);
        var state = State.Choosing;
        while (state != State.Open)
        {
            state = state switch
            {
                State.Choosing => Choose(),
                State.Attempting => await AttemptAsync().ConfigureAwait(false),
                State.Queueing => await QueueAsync().ConfigureAwait(false),
                _ => await WaitAsync(activity).ConfigureAwait(false),
            };
        }
        activity?.SetTag("routing.member", _attempt!.Pool.Member).SetTag("routing.attempts", _failed.Count + 1);
        return _connection!;
    }

    /// <summary>Gives the place before a full pool to the next caller.</summary>
    public void Dispose() => _place.Dispose();

    private State Choose()
    {
        // An attempt that has begun is brought to its end: its connection would stay open in the pool.
        if (_begun is null && router.Mistake is { } mistake)
        {
            throw new InvalidOperationException(
                $"The settings of a member's connections could not be made: {mistake.Message}", mistake);
        }
        _picture = router.Current;
        _route = routeOf is null ? _picture.RouteFor(target) : routeOf(_picture);
        (_attempt, _begun) = (_begun, null);
        if (_attempt is null && _route.Pick(_tried) is { } pool)
        {
            var end = pool.Attempts;
            if (!ReferenceEquals(_picture, router.Current))
            {
                // The picture is swapped before a term ends: this may be the next one's token already.
                return State.Choosing;
            }
            _attempt = new Attempt(pool, pool.Create(), null, end);
        }
        return _attempt is null ? State.Waiting : State.Attempting;
    }

    private async ValueTask<State> AttemptAsync()
    {
        var pool = _attempt!.Pool;
        try
        {
            var hasOthers = _route!.HasUntried(_tried, pool);
            _connection = await new AttemptRun(router, types, _attempt, target, Left, hasOthers, isAsync)
                .CompleteAsync(cancellationToken).ConfigureAwait(false);
            pool.Health.Succeeded();
            DriverMetrics.Opened(router.Name, _word, pool.Member, router.Time.GetElapsedTime(_began));
            return State.Open;
        }
        catch (Exception problem)
            when (AttemptProblem.MayTryAgain(problem, pool, cancellationToken.IsCancellationRequested))
        {
            _last = problem;
            Note(pool, problem);
            _tried.Add(pool.Member);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw GaveUp("the caller gave up");
        }
        if (Left > TimeSpan.Zero && (!ReferenceEquals(_picture, router.Current) || _route!.HasUntried(_tried)))
        {
            return State.Choosing;
        }
        return AttemptProblem.IsPoolExhausted(_last) ? State.Queueing : State.Waiting;
    }

    // A full pool is no failure: only the caller's own time bounds the wait.
    private async ValueTask<State> QueueAsync()
    {
        try
        {
            if (!await _place.EnterAsync(_attempt!.Pool, Left, isAsync, cancellationToken).ConfigureAwait(false))
            {
                return State.Waiting;
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw GaveUp("the caller gave up");
        }
        _tried.Clear();
        return State.Choosing;
    }

    private async ValueTask<State> WaitAsync(Activity? activity)
    {
        if (routeOf is not null && _attempt is null && _picture.IsKnown)
        {
            throw NoHost("no replica fits");
        }
        ObjectDisposedException.ThrowIf(router.IsDisposed, typeof(RoutingDataSource));
        if (Left <= TimeSpan.Zero)
        {
            DriverMetrics.OpenFailed(router.Name, _word);
            var failed = NoHost(_attempt is null ? Reason() : "every attempt failed");
            activity?.SetStatus(ActivityStatusCode.Error, failed.Message);
            throw failed;
        }
        if (!_hasWaited && _attempt is null)
        {
            _hasWaited = true;
            DriverMetrics.Waited(router.Name, _word);
            if (router.Logger.IsEnabled(LogLevel.Debug))
            {
                router.Logger.Waits(router.Name, _word, Reason());
            }
        }
        try
        {
            await ForChangeAsync().ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw GaveUp(Reason());
        }
        _tried.Clear();
        return State.Choosing;
    }

    // Without a member to try only a change of the cluster helps; after a failure a little time may.
    private async ValueTask ForChangeAsync()
    {
        var limit = Left;
        if (_attempt is not null && s_pauses.After(++_pauses) is var pause && pause < limit)
        {
            limit = pause;
        }
        var changed = _picture.Superseded.Task;
        if (!isAsync)
        {
            changed.Wait(limit, CancellationToken.None);
            return;
        }
        try
        {
            await changed.WaitAsync(limit, router.Time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // nothing changed: the open looks at its time
        }
    }

    private void Note(MemberPool pool, Exception problem)
    {
        var says = AttemptProblem.Describe(problem);
        _failed.Add(
            new OpenAttempt(
                pool.Member, pool.Address.Host, pool.Address.Port, router.Time.GetElapsedTime(_began), says));
        if (!AttemptProblem.IsAgainstMember(problem))
        {
            return;
        }
        DriverMetrics.AttemptFailed(router.Name, pool.Member);
        if (pool.Health.Failed())   // the callers behind the first one have nothing new to say
        {
            router.Logger.AttemptFailed(router.Name, pool.Member, pool.Address, says);
        }
    }

    /// <summary>Why there is no member to try.</summary>
    private string Reason() =>
        !_picture.IsKnown ? router.Unanswered
        : Targets.MustBePrimary(target) ? _picture.NoLeaderReason ?? "the leader is out"
        : $"no member fits: {string.Join("; ", _picture.RouteFor(target).Hosts.Verdicts.Select(Words))}";

    private static string Words(HostVerdict one) => $"{one.Member.Name} {one.Reason}";

    private NoHostException NoHost(string reason) => NoHostException.After(
        router.Time.GetElapsedTime(_began), _word, reason, _failed, router.Describe(), _last);

    private OperationCanceledException GaveUp(string reason)
    {
        var why = NoHost(reason);
        return new OperationCanceledException(why.Message, why, cancellationToken);
    }
}
