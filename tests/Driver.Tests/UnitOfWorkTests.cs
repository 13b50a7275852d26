using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>What is repeated, what is not, and what nobody can know.</summary>
public sealed class UnitOfWorkTests : IDisposable
{
    private readonly PretendTopology _topology = new();
    private readonly RoutingDataSource _source;
    private int _runs;

    public UnitOfWorkTests()
    {
        _source = _topology.Build();
        _topology.Lead("a");
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _topology.Dispose();

    [Fact]
    public async Task A_unit_runs_once_and_returns_what_it_made()
    {
        var result = await _source.RunAsync(WriteAsync, cancellationToken: Cancellation);

        Assert.Equal((1, 1), (result, _runs));
        Assert.Contains("COMMIT", _topology["a"].Statements);
    }

    [Theory]
    [InlineData("57P01")]
    [InlineData("40001")]
    [InlineData("40P01")]
    [InlineData("25006")]
    [InlineData("08006")]
    public async Task What_was_undone_is_repeated(string code)
    {
        Fail("INSERT", Reply.Error(code), times: 2);

        await _source.RunAsync(WriteAsync, cancellationToken: Cancellation);

        Assert.Equal(3, _runs);
    }

    [Fact]
    public async Task A_connection_that_was_cut_before_the_COMMIT_is_repeated_at_the_new_leader()
    {
        _topology["a"].Answer = sql =>
        {
            if (sql != "INSERT")
            {
                return null;
            }
            _topology.Lead("b");
            return Reply.Lost;
        };

        var unit = _source.RunAsync(WriteAsync, cancellationToken: Cancellation);

        Assert.Equal(2, await unit);
        Assert.Contains("COMMIT", _topology["b"].Statements);
    }

    [Theory]
    [InlineData("23505")]
    [InlineData("42P01")]
    public async Task A_mistake_is_not_repeated(string code)
    {
        Fail("INSERT", Reply.Error(code), times: 1);

        var failed = await Assert.ThrowsAsync<PostgresException>(
            () => _source.RunAsync(WriteAsync, cancellationToken: Cancellation));

        Assert.Equal((code, 1), (failed.SqlState, _runs));
    }

    [Fact]
    public async Task An_exception_of_the_work_itself_is_not_repeated()
    {
        await Assert.ThrowsAsync<InvalidOperationException>(() => _source.RunAsync(
            (_, _) => throw new InvalidOperationException("mine"), cancellationToken: Cancellation));

        Assert.Contains("ROLLBACK", _topology["a"].Statements);
    }

    public static TheoryData<string> LostCommits => ["lost", "08007", "40003", "57P01"];

    [Theory]
    [MemberData(nameof(LostCommits))]
    public async Task A_COMMIT_without_an_answer_is_ambiguous_and_is_not_repeated(string how)
    {
        Fail("COMMIT", how == "lost" ? Reply.Lost : Reply.Error(how), times: 1);

        var ambiguous = await Assert.ThrowsAsync<AmbiguousCommitException>(
            () => _source.RunAsync(WriteAsync, cancellationToken: Cancellation));

        Assert.Equal(("a", 1, false), (ambiguous.Member, _runs, ambiguous.IsTransient));
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 2)]
    public async Task The_hook_finds_out_what_became_of_it(bool wasCommitted, int runs)
    {
        Fail("COMMIT", Reply.Lost, times: 1);
        _topology["a"].Answer =
            Then(_topology["a"].Answer, sql => sql == "is it there?" ? Reply.Of(wasCommitted) : null);

        await _source.RunAsync(WriteAsync, new UnitOfWorkOptions { WasCommitted = LookAsync }, Cancellation);

        Assert.Equal(runs, _runs);
    }

    [Fact]
    public async Task Without_an_answer_of_the_hook_it_stays_ambiguous_even_when_the_caller_gives_up()
    {
        Fail("COMMIT", Reply.Lost, times: 1);
        using var patience = new CancellationTokenSource();

        var ambiguous = await Assert.ThrowsAsync<AmbiguousCommitException>(() => _source.RunAsync(
            WriteAsync,
            new UnitOfWorkOptions
            {
                WasCommitted = async (_, token) =>
                {
                    await patience.CancelAsync();
                    token.ThrowIfCancellationRequested();
                    return null;
                },
            },
            patience.Token));

        Assert.IsType<AggregateException>(ambiguous.InnerException);
    }

    [Fact]
    public async Task A_caller_who_gives_up_before_the_COMMIT_is_told_just_that()
    {
        using var patience = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _source.RunAsync(
            async (transaction, token) =>
            {
                var result = await WriteAsync(transaction, token);
                await patience.CancelAsync();
                return result;
            },
            cancellationToken: patience.Token));

        Assert.DoesNotContain("COMMIT", _topology["a"].Statements);
    }

    [Fact]
    public async Task When_attempts_end_after_the_hook_has_said_no_the_lost_answer_is_the_cause()
    {
        Fail("COMMIT", Reply.Lost, times: int.MaxValue);

        var failed = await Assert.ThrowsAsync<NpgsqlException>(() => _source.RunAsync(
            WriteAsync,
            new UnitOfWorkOptions { MaximumAttempts = 2, WasCommitted = (_, _) => Task.FromResult<bool?>(false) },
            Cancellation));

        Assert.Equal(2, _runs);
        Assert.Contains("in 2 attempts", failed.Message, StringComparison.Ordinal);
        Assert.NotNull(failed.InnerException);
    }

    [Fact]
    public async Task A_COMMIT_that_was_refused_is_no_riddle()
    {
        Fail("COMMIT", Reply.Error("40001"), times: 1);

        await _source.RunAsync(WriteAsync, cancellationToken: Cancellation);

        Assert.Equal(2, _runs);
    }

    [Fact]
    public async Task Work_that_hangs_at_a_leader_of_the_past_is_interrupted_and_repeated()
    {
        var unit = _source.RunAsync(
            async (transaction, token) =>
            {
                if (++_runs == 1)
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, token);
                }
                return transaction.Connection!.Port;
            },
            cancellationToken: Cancellation);
        await WaitUntil.TrueAsync(() => Volatile.Read(ref _runs) == 1);

        _topology.Lead("b");

        Assert.Equal(_topology["b"].Port, await unit);
    }

    [Fact]
    public async Task Attempts_and_time_have_an_end()
    {
        Fail("INSERT", Reply.Error("40001"), times: int.MaxValue);

        await Assert.ThrowsAsync<PostgresException>(() => _source.RunAsync(
            WriteAsync, new UnitOfWorkOptions { MaximumAttempts = 3 }, Cancellation));
        var attempts = _runs;
        await Assert.ThrowsAsync<TimeoutException>(() => _source.RunAsync(
            WriteAsync, new UnitOfWorkOptions { Deadline = TimeSpan.FromSeconds(0.3), MaximumAttempts = int.MaxValue },
            Cancellation));

        Assert.Equal(3, attempts);
    }

    private static async Task<bool?> LookAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("is it there?", connection);
        return (bool?)await command.ExecuteScalarAsync(cancellationToken);
    }

    private static Func<string, Reply?> Then(Func<string, Reply?> first, Func<string, Reply?> second) =>
        sql => first(sql) ?? second(sql);

    private async Task<int> WriteAsync(NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        _runs++;
        await using var command = new NpgsqlCommand("INSERT", transaction.Connection, transaction);
        await command.ExecuteNonQueryAsync(cancellationToken);
        return _runs;
    }

    private void Fail(string statement, Reply reply, int times)
    {
        var left = times;
        _topology["a"].Answer = sql => sql == statement && Interlocked.Decrement(ref left) >= 0 ? reply : null;
    }
}
