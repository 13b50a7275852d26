using Npgsql;
using Routing.Cluster;
using Routing.Driver.Diagnostics;
using Routing.Driver.Members;
using Routing.Driver.Opening;
using Routing.Driver.Routes;

namespace Routing.Driver.UnitsOfWork;

/// <summary>Runs whole transactions, and knows what is safe to repeat.</summary>
internal sealed class UnitOfWorkRunner(ClusterRouter router, ConnectionOpener opener, Random random)
{
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(20);

    public async Task<T> RunAsync<T>(
        Func<NpgsqlTransaction, CancellationToken, Task<T>> work, UnitOfWorkOptions options,
        CancellationToken cancellationToken)
    {
        using var activity = DriverActivities.Unit(router.Name);
        using var limit = new CancellationTokenSource(options.Deadline, router.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var pauses = new Backoff(s_firstPause, options.LongestPause);
        Exception? last = null;
        for (var attempt = 1; ; attempt++)
        {
            var run = new Run<T>(router, opener, options);
            try
            {
                var result = await run.RunAsync(work, either.Token).ConfigureAwait(false);
                activity?.SetTag("routing.attempts", attempt);
                DriverMetrics.Unit(router.Name, "done");
                return result;
            }
            catch (Exception problem) when (attempt < options.MaximumAttempts && !either.IsCancellationRequested
                && run.MayRepeat(problem))
            {
                DriverMetrics.Unit(router.Name, "repeated");
                router.Logger.UnitRepeated(router.Name, attempt + 1, problem.Message);
                last = problem;
            }
            catch (Exception problem) when (
                limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested
                && (problem is OperationCanceledException || run.MayRepeat(problem)))
            {
                throw Overdue(problem);
            }
            catch (Exception problem)
            {
                DriverMetrics.Unit(router.Name, problem is AmbiguousCommitException ? "ambiguous" : "failed");
                activity?.SetStatus(System.Diagnostics.ActivityStatusCode.Error, problem.Message);
                if (problem is RepeatException { InnerException: var cause })
                {
                    throw new NpgsqlException(
                        $"The unit of work was not committed in {attempt} attempts: {problem.Message}", cause);
                }
                throw;
            }
            try
            {
                await Task.Delay(Draw(pauses.After(attempt)), router.Time, either.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw Overdue(last);
            }
        }

        TimeoutException Overdue(Exception? problem)
        {
            DriverMetrics.Unit(router.Name, "failed");
            var failed = new TimeoutException(
                $"The unit of work was not done within {options.Deadline}: "
                    + $"{(last ?? problem)?.Message ?? "it still ran"}", last ?? problem);
            activity?.SetStatus(System.Diagnostics.ActivityStatusCode.Error, failed.Message);
            return failed;
        }
    }

    // A random part of the pause: units that failed at the same time do not repeat at the same time.
    private TimeSpan Draw(TimeSpan bound)
    {
        lock (random)
        {
            return bound * random.NextDouble();
        }
    }

    /// <summary>One attempt.</summary>
    private sealed class Run<T>(ClusterRouter router, ConnectionOpener opener, UnitOfWorkOptions options)
    {
        private CancellationToken _term;
        private MemberPool? _pool;

        public async Task<T> RunAsync(
            Func<NpgsqlTransaction, CancellationToken, Task<T>> work, CancellationToken cancellationToken)
        {
            var connection =
                await opener.OpenAsync(TargetSessionAttributes.Primary, cancellationToken).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            _pool = router.WritePoolOf(connection);
            _term = options.InterruptOnFailover && _pool is not null ? TermOf(_pool) : CancellationToken.None;
            using var either = CancellationTokenSource.CreateLinkedTokenSource(_term, cancellationToken);
            T result;
            var transaction =
                await connection.BeginTransactionAsync(options.IsolationLevel, either.Token).ConfigureAwait(false);
            await using var __ = transaction.ConfigureAwait(false);
            try
            {
                result = await work(transaction, either.Token).ConfigureAwait(false);
            }
            catch (PostgresException problem) when (problem.SqlState == PostgresErrorCodes.ReadOnlySqlTransaction
                && _pool is not null)
            {
                router.EvictReadOnly(_pool);
                throw;
            }
            either.Token.ThrowIfCancellationRequested();   // no COMMIT has gone out: nothing is ambiguous
            try
            {
                await CommitAsync(connection, transaction, either.Token).ConfigureAwait(false);
            }
            catch (Exception lost) when (IsAmbiguous(lost))
            {
                await SettleAsync(lost, cancellationToken).ConfigureAwait(false);
            }
            return result;
        }

        // PostgreSQL answers COMMIT in a failed transaction with ROLLBACK, and Npgsql takes that for success. The
        // statement ahead of it, in the same round trip, fails in such a transaction, and COMMIT is not run.
        private static async Task CommitAsync(
            NpgsqlConnection connection, NpgsqlTransaction transaction, CancellationToken cancellationToken)
        {
            var hasEnded = false;
            connection.Notice += OnNotice;
            try
            {
                var batch =
                    new NpgsqlBatch(connection, transaction) { BatchCommands = { new("SELECT 1"), new("COMMIT") } };
                await using var _ = batch.ConfigureAwait(false);
                await batch.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (PostgresException problem) when (problem.SqlState == PostgresErrorCodes.InFailedSqlTransaction)
            {
                throw new RolledBackException(problem);
            }
            finally
            {
                connection.Notice -= OnNotice;
            }
            if (hasEnded)
            {
                throw new InvalidOperationException(
                    "The work ended its transaction by itself: a unit of work is committed by the driver.");
            }

            void OnNotice(object sender, NpgsqlNoticeEventArgs notice) =>
                hasEnded |= notice.Notice.SqlState == PostgresErrorCodes.NoActiveSqlTransaction;
        }

        // The picture is swapped before a term ends: one that is read first and still in the picture afterwards is
        // this leader's.
        private CancellationToken TermOf(MemberPool pool)
        {
            var term = pool.EndOfTerm;
            return ReferenceEquals(router.Current.LeaderPool, pool) ? term : new CancellationToken(canceled: true);
        }

        /// <summary>Whether nothing of the attempt can have been committed, and another may fare better.</summary>
        public bool MayRepeat(Exception problem) => problem switch
        {
            AmbiguousCommitException => false,
            RepeatException => true,
            PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction } => _pool is not null,
            NpgsqlException npgsql => npgsql.IsTransient,
            OperationCanceledException or ObjectDisposedException => _term.IsCancellationRequested,
            _ => false,
        };

        /// <summary>
        /// Whether the server may have committed although we saw an error. A definite refusal is none.
        /// </summary>
        private static bool IsAmbiguous(Exception problem) => problem switch
        {
            // Ended while it committed, or told by a proxy that it does not know.
            PostgresException { SqlState: "08007" or "40003" or "57P01" or "57P02" or "57P03" or "57014" } => true,
            PostgresException or RolledBackException or InvalidOperationException { InnerException: null } => false,
            _ => true,
        };

        private async Task SettleAsync(Exception lost, CancellationToken cancellationToken)
        {
            var member = _pool?.Member ?? "the server";
            router.Logger.CommitAmbiguous(router.Name, member, lost.Message);
            try
            {
                if (options.WasCommitted is { } wasCommitted
                    && await LookAsync(wasCommitted, cancellationToken).ConfigureAwait(false) is { } answer)
                {
                    if (answer)
                    {
                        return;
                    }
                    throw new RepeatException(lost);
                }
            }
            catch (Exception problem) when (problem is not RepeatException)
            {
                // the question had no answer: the outcome stays open
                throw new AmbiguousCommitException(member, new AggregateException(lost, problem));
            }
            throw new AmbiguousCommitException(member, lost);
        }

        // The cluster may well be in the middle of a failover: asked again until there is an answer, or the time is
        // over.
        private async Task<bool?> LookAsync(
            Func<NpgsqlConnection, CancellationToken, Task<bool?>> wasCommitted, CancellationToken cancellationToken)
        {
            while (true)
            {
                try
                {
                    var connection = await opener.OpenAsync(TargetSessionAttributes.Primary, cancellationToken)
                        .ConfigureAwait(false);
                    await using var _ = connection.ConfigureAwait(false);
                    return await wasCommitted(connection, cancellationToken).ConfigureAwait(false);
                }
                catch (NpgsqlException problem) when (problem.IsTransient)
                {
                    await Task.Delay(s_firstPause, router.Time, cancellationToken).ConfigureAwait(false);
                }
            }
        }
    }

    /// <summary>It was found out that nothing was committed.</summary>
    private sealed class RepeatException(Exception cause) : Exception(cause.Message, cause);
}
