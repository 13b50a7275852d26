using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Npgsql;
using Npgsql.Replication;
using Routing.Cluster;
using Routing.Driver.Diagnostics;
using Routing.Driver.Members;
using Routing.Driver.Routes;

namespace Routing.Driver;

/// <summary>
/// Opens connections: from the pool at once where it can; else it waits for a fit member and tries, until the time is
/// over.
/// </summary>
internal sealed class ConnectionOpener
{
    private static readonly Backoff s_pauses = new(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(500));
    private static readonly TimeSpan s_shortestWait = TimeSpan.FromMilliseconds(5);

    private readonly ClusterRouter _router;
    private readonly SharedTypes _types;
    private readonly TimeSpan _silence;

    public ConnectionOpener(ClusterRouter router)
    {
        _router = router;
        _types = new SharedTypes(router, this);
        _silence = router.Options.Silence;
    }

    /// <summary>What the pools know of the database's types.</summary>
    public SharedTypes Types => _types;

    /// <summary>Opens a connection for a target.</summary>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    public ValueTask<NpgsqlConnection> OpenAsync(TargetSessionAttributes target, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<NpgsqlConnection>(cancellationToken);
        }
        var began = DriverMetrics.MeasuresOpens ? _router.Time.GetTimestamp() : 0;
        var picture = _router.Current;
        if (picture.RouteFor(target).Pick() is not { IsSilent: false } pool)
        {
            return OpenSlowlyAsync(target, null, null, isAsync: true, cancellationToken);
        }
        // The token is the member's, not the caller's: an attempt ends with the member's term. A caller who gives up
        // sooner leaves it behind.
        var end = pool.Attempts;
        if (!ReferenceEquals(picture, _router.Current))
        {
            // it may be the token of the member's next term
            return OpenSlowlyAsync(target, null, null, isAsync: true, cancellationToken);
        }
        var connection = pool.Create();
        var opening = connection.OpenAsync(end);
        if (opening.IsCompletedSuccessfully && IsReady(pool, connection, target))
        {
            Measure(pool, target, began);
            return new ValueTask<NpgsqlConnection>(connection);
        }
        return OpenSlowlyAsync(target, null, new Attempt(pool, connection, opening, end), isAsync: true,
            cancellationToken);
    }

    /// <summary>Opens a connection for a target; blocks the thread.</summary>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    /// <param name="target">What it is for.</param>
    /// <param name="first">The pool to begin with; null: the choice is free.</param>
    public NpgsqlConnection Open(TargetSessionAttributes target, MemberPool? first = null)
    {
        var opening = OpenSlowlyAsync(target, null, Begin(first), isAsync: false, CancellationToken.None);
        Debug.Assert(opening.IsCompleted, "without await there is nothing to wait for");
        return opening.GetAwaiter().GetResult();
    }

    /// <summary>Whether an opened connection may be handed out as it is.</summary>
    public bool IsReady(MemberPool pool, NpgsqlConnection connection, TargetSessionAttributes target) =>
        MemberPool.MayServe(connection, target) && pool.TypesVersion == _router.Types.Version;

    private void Measure(MemberPool pool, TargetSessionAttributes target, long began)
    {
        if (began != 0)
        {
            DriverMetrics.Opened(_router.Name, Targets.Word(target), pool.Member, _router.Time.GetElapsedTime(began));
        }
    }

    /// <summary>Opens a connection for a target, to a certain member where that is possible.</summary>
    /// <param name="target">What it is for.</param>
    /// <param name="first">The pool to begin with; null: the choice is free.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    public ValueTask<NpgsqlConnection> OpenAsync(
        TargetSessionAttributes target, MemberPool? first, CancellationToken cancellationToken) =>
        Begin(first) is { } begun && !cancellationToken.IsCancellationRequested
            ? OpenSlowlyAsync(target, null, begun, isAsync: true, cancellationToken)
            : OpenAsync(target, cancellationToken);

    private static Attempt? Begin(MemberPool? first) =>
        first is { IsSilent: false, Health.IsOut: false }
            ? new Attempt(first, first.Create(), null, first.Attempts)
            : null;

    /// <summary>Opens a connection by a route of the caller's; for causal reads.</summary>
    /// <param name="target">What it is for, in messages.</param>
    /// <param name="routeOf">
    /// The route by the newest picture. With nobody on it this gives up at once: the caller has another way.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NoHostException">Nobody is on the route, or none could be had in time.</exception>
    public ValueTask<NpgsqlConnection> OpenAsync(
        TargetSessionAttributes target, Func<Picture, Route> routeOf, CancellationToken cancellationToken) =>
        OpenSlowlyAsync(target, routeOf, null, isAsync: true, cancellationToken);

    /// <summary>Opens a connection for replication to the member that an open for a target goes to.</summary>
    /// <param name="target">Whom to.</param>
    /// <param name="create">Makes the closed connection of a connection string.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NoHostException">
    /// No member could be had within <see cref="RoutingOptions.OpenTimeout"/>.
    /// </exception>
    public async ValueTask<T> OpenReplicationAsync<T>(
        TargetSessionAttributes target, Func<string, T> create, CancellationToken cancellationToken)
        where T : ReplicationConnection
    {
        string text;
        // the member answers, and has the right role
        var ordinary = await OpenAsync(target, cancellationToken).ConfigureAwait(false);
        await using (ordinary.ConfigureAwait(false))
        {
            // A clone's string holds the password, also where a provider gives it; the connection's own does not.
            var settings = new NpgsqlConnectionStringBuilder(ordinary.ConnectionString) { Pooling = false };
            var clone =
                await ordinary.CloneWithAsync(settings.ConnectionString, cancellationToken).ConfigureAwait(false);
            await using (clone.ConfigureAwait(false))
            {
                text = clone.ConnectionString;
            }
        }
        var replication = create(text);
        try
        {
            await replication.Open(cancellationToken).ConfigureAwait(false);
            return replication;
        }
        catch
        {
            await replication.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async ValueTask<NpgsqlConnection> OpenSlowlyAsync(
        TargetSessionAttributes target, Func<Picture, Route>? routeOf, Attempt? begun, bool isAsync,
        CancellationToken cancellationToken)
    {
        var time = _router.Time;
        var began = time.GetTimestamp();
        var word = Targets.Word(target);
        using var activity = DriverActivities.Open(_router.Name, word);
        var attempts = new List<OpenAttempt>();
        var tried = new HashSet<string>(StringComparer.Ordinal);
        Exception? last = null;
        var failures = 0;
        var hasWaited = false;
        using var place = new PlaceInLine();
        while (true)
        {
            if (_router.Mistake is { } mistake)
            {
                throw new InvalidOperationException(
                    $"The settings of a member's connections could not be made: {mistake.Message}", mistake);
            }
            var picture = _router.Current;
            var route = routeOf is null ? picture.RouteFor(target) : routeOf(picture);
            var attempt = begun;
            begun = null;
            if (attempt is null && route.Pick(tried) is { } pool)
            {
                var end = pool.Attempts;
                if (!ReferenceEquals(picture, _router.Current))
                {
                    continue;   // the picture is swapped before a term ends: this may be the next one's token already
                }
                attempt = new Attempt(pool, pool.Create(), null, end);
            }
            if (attempt is not null)
            {
                try
                {
                    var hasOthers = route.HasUntried(tried, attempt.Pool);
                    var connection = await CompleteAsync(attempt, target, Left(), hasOthers, isAsync, cancellationToken)
                        .ConfigureAwait(false);
                    attempt.Pool.Health.Succeeded();
                    DriverMetrics.Opened(_router.Name, word, attempt.Pool.Member, time.GetElapsedTime(began));
                    activity?.SetTag("routing.member", attempt.Pool.Member)
                        .SetTag("routing.attempts", attempts.Count + 1);
                    return connection;
                }
                catch (Exception problem) when (MayTryAgain(problem, attempt, cancellationToken))
                {
                    last = problem;
                    Note(attempt, problem, attempts, time.GetElapsedTime(began));
                    tried.Add(attempt.Pool.Member);
                }
                catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                {
                    throw Cancelled(NoHost("the caller gave up"), cancellationToken);
                }
                if (Left() > TimeSpan.Zero && (!ReferenceEquals(picture, _router.Current) || route.HasUntried(tried)))
                {
                    continue;
                }
                if (last is not null && IsExhausted(last))
                {
                    try
                    {
                        if (await place.EnterAsync(attempt.Pool, Left(), isAsync, cancellationToken)
                            .ConfigureAwait(false))
                        {
                            tried.Clear();
                            continue;   // a full pool is no failure: only the caller's own time bounds the wait
                        }
                    }
                    catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                    {
                        throw Cancelled(NoHost("the caller gave up"), cancellationToken);
                    }
                }
            }
            if (routeOf is not null && attempt is null && picture.IsKnown)
            {
                throw NoHost("no replica fits");
            }
            ObjectDisposedException.ThrowIf(_router.IsDisposed, typeof(RoutingDataSource));
            if (Left() <= TimeSpan.Zero)
            {
                DriverMetrics.OpenFailed(_router.Name, word);
                var failed = NoHost(attempt is null ? ReasonOf(picture, target) : "every attempt failed");
                activity?.SetStatus(ActivityStatusCode.Error, failed.Message);
                throw failed;
            }
            if (!hasWaited && attempt is null)
            {
                hasWaited = true;
                DriverMetrics.Waited(_router.Name, word);
                if (_router.Logger.IsEnabled(LogLevel.Debug))
                {
                    _router.Logger.Waits(_router.Name, word, ReasonOf(picture, target));
                }
            }
            // Without anybody to try only a change helps; after a failure a little time may.
            var wait = attempt is null ? Left() : Shorter(Left(), s_pauses.After(++failures));
            try
            {
                await ForChangeAsync(picture, wait, isAsync, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                throw Cancelled(NoHost(ReasonOf(picture, target)), cancellationToken);
            }
            tried.Clear();
        }

        // Timers end a little early: what is too short for anything counts as nothing.
        TimeSpan Left() =>
            _router.Options.OpenTimeout - time.GetElapsedTime(began) is var left && left > s_shortestWait
                ? left
                : TimeSpan.Zero;

        NoHostException NoHost(string reason) =>
            NoHostException.After(time.GetElapsedTime(began), word, reason, attempts, _router.Describe(), last);
    }

    /// <summary>Brings an attempt to its end.</summary>
    private async ValueTask<NpgsqlConnection> CompleteAsync(
        Attempt attempt, TargetSessionAttributes target, TimeSpan limit, bool hasOthers, bool isAsync,
        CancellationToken cancellationToken)
    {
        var (pool, connection, _, end) = attempt;
        Task? opening = null;
        pool.AddPending(1);
        try
        {
            if (attempt.Opening is null && pool.IsSilent)
            {
                await EndAsync(AskAgainAsync(attempt, limit, cancellationToken), isAsync).ConfigureAwait(false);
            }
            // In sync, too: from the pool it is done at once, and only so a login that is under way can be left.
            opening = attempt.Opening ?? connection.OpenAsync(end);
            await EndAsync(
                opening.IsCompleted ? opening : WatchAsync(attempt, opening, limit, hasOthers, cancellationToken),
                isAsync).ConfigureAwait(false);
            if (!MemberPool.MayServe(connection, target))
            {
                _router.Evict(pool, "a session there does not accept writes");
                throw new WrongRoleException(pool.Member, pool.Address, MemberPool.WhyReadOnly(connection));
            }
            if (pool.TypesVersion != _router.Types.Version)
            {
                await EndAsync(_types.EnsureAsync(pool, connection, cancellationToken), isAsync).ConfigureAwait(false);
            }
            return connection;
        }
        catch
        {
            if (opening is { IsCompleted: false })
            {
                Abandon(connection, opening);
            }
            else if (isAsync)
            {
                await connection.DisposeAsync().ConfigureAwait(false);
            }
            else
            {
                connection.Dispose();
            }
            throw;
        }
        finally
        {
            pool.AddPending(-1);
        }
    }

    /// <summary>Waits for a task; blocks the thread where the caller does.</summary>
    private static Task EndAsync(Task task, bool isAsync)
    {
        if (!isAsync)
        {
            task.GetAwaiter().GetResult();
        }
        return task;
    }

    /// <summary>
    /// Asks a member that was silent whether it answers now; an attempt before that would only fill its pool.
    /// </summary>
    /// <exception cref="SilentMemberException">It does not.</exception>
    private async Task AskAgainAsync(Attempt attempt, TimeSpan limit, CancellationToken cancellationToken)
    {
        var began = _router.Time.GetTimestamp();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(attempt.End, cancellationToken);
        var answers = attempt.Pool.AnswersAgainAsync(Shorter(limit, _silence)).AsTask();
        if (!await answers.WaitAsync(either.Token).ConfigureAwait(false))
        {
            throw new SilentMemberException(_router.Time.GetElapsedTime(began));
        }
    }

    /// <summary>
    /// Waits for an attempt as long as its member gives signs of life: a login that goes on is not silence.
    /// </summary>
    /// <exception cref="SilentMemberException">The member gave none.</exception>
    /// <exception cref="StillWaitingException">
    /// It does, but the time is over; or its pool is full, and there are others.
    /// </exception>
    private async Task WatchAsync(
        Attempt attempt, Task opening, TimeSpan limit, bool hasOthers, CancellationToken cancellationToken)
    {
        var pool = attempt.Pool;
        var began = _router.Time.GetTimestamp();
        // Npgsql itself may go on waiting for a login that it was told to give up.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(attempt.End, cancellationToken);
        while (!await IsOverAsync(opening, _silence == TimeSpan.Zero ? Left() : Shorter(Left(), _silence / 2))
            .ConfigureAwait(false))
        {
            if (Left() <= TimeSpan.Zero)
            {
                throw new StillWaitingException();
            }
            var isAlive = pool.SignOfLife.AskAsync(_silence / 2);
            if (await IsOverAsync(Task.WhenAny(opening, isAlive), Left()).ConfigureAwait(false) && isAlive.IsCompleted
                && !opening.IsCompleted)
            {
                if (!await isAlive.ConfigureAwait(false))
                {
                    pool.FoundSilent();
                    throw new SilentMemberException(_router.Time.GetElapsedTime(began));
                }
                if (hasOthers && pool.IsFull)
                {
                    throw new StillWaitingException();
                }
            }
        }
        await opening.ConfigureAwait(false);

        TimeSpan Left() =>
            limit - _router.Time.GetElapsedTime(began) is var left && left > s_shortestWait ? left : TimeSpan.Zero;

        async ValueTask<bool> IsOverAsync(Task task, TimeSpan most)
        {
            try
            {
                await task.WaitAsync(most, _router.Time, either.Token).ConfigureAwait(false);
            }
            catch (Exception) when (task.IsCompleted)
            {
                // its own end: whoever asked looks at it
            }
            catch (TimeoutException)
            {
                return false;
            }
            return true;
        }
    }

    /// <summary>The caller waits no longer: what becomes of the attempt is closed when it comes.</summary>
    private void Abandon(NpgsqlConnection connection, Task opening) => _router.Background.Add(async () =>
    {
        await opening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await connection.DisposeAsync().ConfigureAwait(false);
    });

    private static bool MayTryAgain(Exception problem, Attempt attempt, CancellationToken cancellationToken) =>
        problem switch
    {
        // the member's term ended, or it is silent
        OperationCanceledException => !cancellationToken.IsCancellationRequested,
        ObjectDisposedException => attempt.Pool.IsRetired,
        NpgsqlException npgsql => npgsql.IsTransient,
        TimeoutException or SocketException or IOException => true,
        _ => false,
    };

    private void Note(Attempt attempt, Exception problem, List<OpenAttempt> attempts, TimeSpan after)
    {
        var pool = attempt.Pool;
        var says = problem switch
        {
            OperationCanceledException => "given up: it is silent, or not fit any more",
            ObjectDisposedException => "it left the cluster",
            NpgsqlException { InnerException: { } inner } and not PostgresException and not WrongRoleException =>
                $"{problem.Message} ({inner.Message})",
            _ => problem.Message,
        };
        attempts.Add(new OpenAttempt(pool.Member, pool.Address.Host, pool.Address.Port, after, says));
        if (problem is OperationCanceledException or ObjectDisposedException or StillWaitingException
            || IsExhausted(problem))
        {
            return;   // says nothing about the member
        }
        DriverMetrics.AttemptFailed(_router.Name, pool.Member);
        if (pool.Health.Failed())   // the callers behind the first one have nothing new to say
        {
            _router.Logger.AttemptFailed(_router.Name, pool.Member, pool.Address, says);
        }
    }

    // Npgsql tells it by its words alone; a test holds it to them.
    private static bool IsExhausted(Exception problem) =>
        problem is NpgsqlException and not PostgresException
            && problem.Message.Contains("pool has been exhausted", StringComparison.Ordinal);

    private async ValueTask ForChangeAsync(
        Picture picture, TimeSpan limit, bool isAsync, CancellationToken cancellationToken)
    {
        var changed = picture.Superseded.Task;
        if (!isAsync)
        {
            changed.Wait(limit, CancellationToken.None);
            return;
        }
        try
        {
            await changed.WaitAsync(limit, _router.Time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // nothing changed: the caller looks at its time
        }
    }

    private string ReasonOf(Picture picture, TargetSessionAttributes target) =>
        !picture.IsKnown ? _router.Unanswered
        : Targets.MustBePrimary(target) ? picture.NoLeaderReason ?? "the leader is out"
        : $"no member fits: {string.Join("; ", Verdicts(picture, target))}";

    private static IEnumerable<string> Verdicts(Picture picture, TargetSessionAttributes target) =>
        picture.RouteFor(target).Hosts.Verdicts.Select(one => $"{one.Member.Name} {one.Reason}");

    private static OperationCanceledException Cancelled(NoHostException why, CancellationToken token) =>
        new(why.Message, why, token);

    private static TimeSpan Shorter(TimeSpan left, TimeSpan right) => left < right ? left : right;

    /// <summary>A connection that is being opened, or is to be.</summary>
    private sealed record Attempt(MemberPool Pool, NpgsqlConnection Connection, Task? Opening, CancellationToken End);
}
