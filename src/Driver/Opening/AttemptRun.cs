using Npgsql;
using Routing.Driver.Members;
using Routing.Driver.Routes;

namespace Routing.Driver.Opening;

/// <summary>
/// Brings one attempt to its end: waits for its connection as long as the member gives signs of life, and checks it.
/// </summary>
/// <param name="router">The router of the cluster.</param>
/// <param name="types">Loads the database's types where the pool does not know them yet.</param>
/// <param name="attempt">The attempt.</param>
/// <param name="target">What the connection is for.</param>
/// <param name="limit">The longest wait.</param>
/// <param name="hasOthers">Whether another member can be tried: then a full pool is not waited for.</param>
/// <param name="isAsync">False: blocks the thread.</param>
internal sealed class AttemptRun(
    ClusterRouter router, SharedTypes types, Attempt attempt, TargetSessionAttributes target, TimeSpan limit,
    bool hasOthers, bool isAsync)
{
    /// <summary>What is left of a wait counts as nothing below this: timers end a little early.</summary>
    public static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(5);

    private static readonly TimeSpan s_promotionLook = TimeSpan.FromMilliseconds(10);

    private readonly MemberPool _pool = attempt.Pool;
    private readonly NpgsqlConnection _connection = attempt.Connection;
    private readonly TimeSpan _silence = router.Options.Silence;

    /// <summary>Waits until the connection can be handed out.</summary>
    /// <exception cref="SilentMemberException">The member gave no sign of life.</exception>
    /// <exception cref="StillWaitingException">
    /// The member answers, but the time is over; or its pool is full, and there are others.
    /// </exception>
    /// <exception cref="WrongRoleException">The server accepts no writes, which were asked for.</exception>
    public async ValueTask<NpgsqlConnection> CompleteAsync(CancellationToken cancellationToken)
    {
        Task? opening = null;
        _pool.AddPending(1);
        try
        {
            if (attempt.Opening is null && _pool.IsSilent)
            {
                await EndAsync(AskAgainAsync(cancellationToken)).ConfigureAwait(false);
            }
            // In sync, too: from the pool it is done at once, and only so a login that is under way can be left.
            opening = attempt.Opening ?? _connection.OpenAsync(attempt.End);
            await EndAsync(opening.IsCompleted ? opening : WatchAsync(opening, cancellationToken))
                .ConfigureAwait(false);
            if (_pool.MayHoldStandbySessions && MemberPool.WasInRecovery(_connection))
            {
                await EndAsync(AwaitPromotionAsync(cancellationToken)).ConfigureAwait(false);
            }
            if (!MemberPool.MayServe(_connection, target))
            {
                router.Evict(_pool, "a session there does not accept writes");
                throw new WrongRoleException(_pool.Member, _pool.Address, MemberPool.WhyReadOnly(_connection));
            }
            if (_pool.TypesVersion != router.Types.Version)
            {
                await EndAsync(types.EnsureAsync(_pool, _connection, cancellationToken)).ConfigureAwait(false);
            }
            return _connection;
        }
        catch
        {
            await CloseAsync(opening).ConfigureAwait(false);
            throw;
        }
        finally
        {
            _pool.AddPending(-1);
        }
    }

    /// <summary>
    /// Waits until the server of a session that began at a standby is promoted: it has the leader key already.
    /// </summary>
    /// <exception cref="StillWaitingException">It is in recovery still, and the time is over.</exception>
    private async Task AwaitPromotionAsync(CancellationToken cancellationToken)
    {
        var began = router.Time.GetTimestamp();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(attempt.End, cancellationToken);
        while (await MemberPoolFactory.AskForRecoveryAsync(_connection, either.Token).ConfigureAwait(false))
        {
            if (router.Time.GetElapsedTime(began) >= limit - s_promotionLook)
            {
                throw new StillWaitingException();
            }
            await Task.Delay(s_promotionLook, router.Time, either.Token).ConfigureAwait(false);
        }
        _pool.NotePromoted();
    }

    /// <summary>Waits for a task; blocks the thread where the caller does.</summary>
    private Task EndAsync(Task task)
    {
        if (!isAsync)
        {
            task.GetAwaiter().GetResult();
        }
        return task;
    }

    /// <summary>Closes the connection; one that is still being opened is closed when that is over.</summary>
    private ValueTask CloseAsync(Task? opening)
    {
        if (opening is { IsCompleted: false })
        {
            router.Background.Add(async () =>
            {
                await opening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                await _connection.DisposeAsync().ConfigureAwait(false);
            });
            return ValueTask.CompletedTask;
        }
        if (isAsync)
        {
            return _connection.DisposeAsync();
        }
        _connection.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>
    /// Asks a member that was silent whether it answers now; an attempt before that would only fill its pool.
    /// </summary>
    /// <exception cref="SilentMemberException">It does not.</exception>
    private async Task AskAgainAsync(CancellationToken cancellationToken)
    {
        var began = router.Time.GetTimestamp();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(attempt.End, cancellationToken);
        var answers = _pool.AnswersAgainAsync(limit < _silence ? limit : _silence).AsTask();
        if (!await answers.WaitAsync(either.Token).ConfigureAwait(false))
        {
            throw new SilentMemberException(router.Time.GetElapsedTime(began));
        }
    }

    /// <summary>
    /// Waits for the opening as long as the member gives signs of life: a login that goes on is not silence.
    /// </summary>
    private async Task WatchAsync(Task opening, CancellationToken cancellationToken)
    {
        var began = router.Time.GetTimestamp();
        // Npgsql itself may go on waiting for a login that it was told to give up.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(attempt.End, cancellationToken);
        while (!await IsOverAsync(opening, UntilNextQuestion()).ConfigureAwait(false))
        {
            if (Left() <= TimeSpan.Zero)
            {
                throw new StillWaitingException();
            }
            var isAlive = _pool.SignOfLife.AskAsync(_silence / 2);
            if (await IsOverAsync(Task.WhenAny(opening, isAlive), Left()).ConfigureAwait(false) && isAlive.IsCompleted
                && !opening.IsCompleted)
            {
                if (!await isAlive.ConfigureAwait(false))
                {
                    _pool.FoundSilent();
                    throw new SilentMemberException(router.Time.GetElapsedTime(began));
                }
                if (hasOthers && _pool.IsFull)
                {
                    throw new StillWaitingException();
                }
            }
        }
        await opening.ConfigureAwait(false);

        TimeSpan UntilNextQuestion() =>
            Left() is var left && (_silence == TimeSpan.Zero || left < _silence / 2) ? left : _silence / 2;

        TimeSpan Left() =>
            limit - router.Time.GetElapsedTime(began) is var left && left > ShortestWait ? left : TimeSpan.Zero;

        async ValueTask<bool> IsOverAsync(Task task, TimeSpan most)
        {
            try
            {
                await task.WaitAsync(most, router.Time, either.Token).ConfigureAwait(false);
            }
            catch (Exception) when (task.IsCompleted)
            {
                // its own end: the caller looks at the task itself
            }
            catch (TimeoutException)
            {
                return false;
            }
            return true;
        }
    }
}
