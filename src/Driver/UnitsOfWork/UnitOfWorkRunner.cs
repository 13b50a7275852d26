using Npgsql;
using Routing.Driver.Diagnostics;
using Routing.Driver.Members;

namespace Routing.Driver.UnitsOfWork;

/// <summary>Runs whole transactions, and knows what is safe to repeat.</summary>
internal sealed class UnitOfWorkRunner(ClusterRouter router, ConnectionOpener opener, Random random)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);

    public async Task<T> RunAsync<T>(
        Func<NpgsqlTransaction, CancellationToken, Task<T>> work, UnitOfWorkOptions options, CancellationToken cancellationToken)
    {
        using var activity = DriverActivities.Unit(router.Name);
        using var limit = new CancellationTokenSource(options.Deadline, router.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var bound = FirstPause;
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
            catch (Exception problem) when (attempt < options.MaximumAttempts && !either.IsCancellationRequested && run.MayRepeat(problem))
            {
                DriverMetrics.Unit(router.Name, "repeated");
                router.Logger.UnitRepeated(router.Name, attempt + 1, problem.Message);
            }
            catch (Exception problem)
            {
                DriverMetrics.Unit(router.Name, problem is AmbiguousCommitException ? "ambiguous" : "failed");
                activity?.SetStatus(System.Diagnostics.ActivityStatusCode.Error, problem.Message);
                throw;
            }
            await Task.Delay(Draw(bound), router.Time, either.Token).ConfigureAwait(false);
            bound = bound * 2 < options.LongestPause ? bound * 2 : options.LongestPause;
        }
    }

    // The whole of it at random: those who were thrown out together do not come back together.
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
        private CancellationToken _reign;
        private MemberPool? _pool;

        public async Task<T> RunAsync(Func<NpgsqlTransaction, CancellationToken, Task<T>> work, CancellationToken cancellationToken)
        {
            var connection = await opener.OpenAsync(TargetSessionAttributes.Primary, cancellationToken).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            _pool = router.WritePoolOf(connection);
            _reign = options.InterruptOnFailover && _pool is not null ? _pool.Reign : CancellationToken.None;
            using var either = CancellationTokenSource.CreateLinkedTokenSource(_reign, cancellationToken);
            T result;
            var transaction = await connection.BeginTransactionAsync(options.IsolationLevel, either.Token).ConfigureAwait(false);
            await using var __ = transaction.ConfigureAwait(false);
            try
            {
                result = await work(transaction, either.Token).ConfigureAwait(false);
            }
            catch (PostgresException problem) when (problem.SqlState == PostgresErrorCodes.ReadOnlySqlTransaction && _pool is not null)
            {
                router.EvictReadOnly(_pool);
                throw;
            }
            try
            {
                await transaction.CommitAsync(either.Token).ConfigureAwait(false);
            }
            catch (Exception lost) when (IsAmbiguous(lost))
            {
                await SettleAsync(lost, cancellationToken).ConfigureAwait(false);
            }
            return result;
        }

        /// <summary>Whether nothing of the attempt can have been committed, and another may fare better.</summary>
        public bool MayRepeat(Exception problem) => problem switch
        {
            AmbiguousCommitException => false,
            RepeatException => true,
            PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction } => _pool is not null,
            NpgsqlException npgsql => npgsql.IsTransient,
            OperationCanceledException or ObjectDisposedException => _reign.IsCancellationRequested,
            _ => false,
        };

        /// <summary>Whether the server may have committed although we saw an error. A definite refusal is none.</summary>
        private static bool IsAmbiguous(Exception problem) => problem switch
        {
            // Ended while it committed, or told by a proxy that it does not know.
            PostgresException { SqlState: "08007" or "40003" or "57P01" or "57P02" or "57P03" or "57014" } => true,
            PostgresException => false,
            _ => true,
        };

        private async Task SettleAsync(Exception lost, CancellationToken cancellationToken)
        {
            var member = _pool?.Member ?? "the server";
            router.Logger.CommitAmbiguous(router.Name, member, lost.Message);
            if (options.WasCommitted is { } wasCommitted)
            {
                var connection = await opener.OpenAsync(TargetSessionAttributes.Primary, cancellationToken).ConfigureAwait(false);
                await using var _ = connection.ConfigureAwait(false);
                switch (await wasCommitted(connection, cancellationToken).ConfigureAwait(false))
                {
                    case true:
                        return;
                    case false:
                        throw new RepeatException(lost);
                }
            }
            throw new AmbiguousCommitException(member, lost);
        }
    }

    /// <summary>It was found out that nothing was committed.</summary>
    private sealed class RepeatException(Exception cause) : Exception(cause.Message, cause);
}
