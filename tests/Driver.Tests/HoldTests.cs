using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>A leader announces that it is about to hand over.</summary>
public sealed class HoldTests : IDisposable
{
    private static readonly TimeSpan s_long = TimeSpan.FromMinutes(5);

    private readonly PretendTopology _topology = new();
    private readonly LogLines _log = new(LogLevel.Debug);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _topology.Dispose();
        _log.Dispose();
    }

    [Fact]
    public async Task Opens_wait_idle_connections_are_closed_and_one_in_use_runs_to_its_end()
    {
        var source = _topology.Build(options => options.OpenTimeout = s_long);
        _topology.Lead("a");
        var used = await source.OpenConnectionAsync(Cancellation);
        await (await source.OpenConnectionAsync(Cancellation)).DisposeAsync();   // idle in the pool from here on
        await WaitUntil.TrueAsync(() => _topology["a"].Open.Count == 2);

        _topology.Intend("1", s_long);
        await WaitUntil.TrueAsync(() => _topology["a"].Open.Count == 1);
        var opening = source.OpenConnectionAsync(Cancellation).AsTask();
        await SelectAsync(used);
        await used.DisposeAsync();
        await WaitUntil.TrueAsync(() => _topology["a"].Open.IsEmpty);
        Assert.False(opening.IsCompleted);

        _topology.Intend(null).Lead("b");
        await using var opened = await opening;
        Assert.Equal(_topology["b"].Port, opened.Port);
    }

    [Fact]
    public async Task Opens_go_on_at_the_same_leader_when_the_switchover_is_called_off()
    {
        var source = _topology.Build(options => options.OpenTimeout = s_long);
        _topology.Lead("a").Intend("1", s_long);
        await WaitUntil.TrueAsync(() => source.Topology.IsKnown);
        var opening = source.OpenConnectionAsync(Cancellation).AsTask();

        _topology.Intend(null);

        await using var opened = await opening;
        Assert.Equal(_topology["a"].Port, opened.Port);
    }

    [Fact]
    public async Task An_open_that_ends_meanwhile_says_what_it_waited_for()
    {
        var source = _topology.Build(options => options.OpenTimeout = TimeSpan.FromSeconds(0.2));
        _topology.Lead("a").Intend("1", s_long);
        NoHostException? failed = null;
        await WaitUntil.TrueAsync(async () =>
        {
            try
            {
                await using var opened = await source.OpenConnectionAsync(Cancellation);
            }
            catch (NoHostException problem)
            {
                failed = problem;
            }
            return failed?.Message.Contains("a is about to hand over", StringComparison.Ordinal) == true;
        });
    }

    [Fact]
    public async Task What_comes_to_nothing_holds_no_longer_than_the_grace_and_the_time_of_one_open()
    {
        var source = _topology.Build(options => options.OpenTimeout = TimeSpan.FromSeconds(2));
        _topology.Lead("a").Intend("1");
        await WaitUntil.TrueAsync(() => source.Topology.IsKnown);

        await WaitUntil.TrueAsync(async () =>
        {
            try
            {
                await using var opened = await source.OpenConnectionAsync(Cancellation);
                return opened.Port == _topology["a"].Port;
            }
            catch (NoHostException)
            {
                return false;
            }
        });
    }

    [Fact]
    public async Task The_member_that_shall_follow_gets_as_many_connections_as_the_leader_had()
    {
        var source = await WithPoolAsync(3);
        var candidate = _topology["b"];
        candidate.Answer = sql => sql == "SELECT pg_is_in_recovery()" ? Reply.Of(candidate.InRecovery == true) : null;

        _topology.Intend("1", s_long, candidate: "b");
        await UntilWarmAsync();
        Assert.Equal(3, candidate.Logins);
        candidate.LoginsWait = new TaskCompletionSource().Task;   // no login is waited for from here on
        _topology.Lead("b");
        var opened = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => OpenAsync(source)));

        Assert.All(opened, one => Assert.Equal(candidate.Port, one.Port));
        Assert.Equal(3, candidate.Statements.Count(sql => sql == "SELECT pg_is_in_recovery()"));
        foreach (var one in opened)
        {
            await one.DisposeAsync();
        }
        await (await OpenAsync(source)).DisposeAsync();   // known by now: it is not asked again
        Assert.Equal(3, candidate.Statements.Count(sql => sql == "SELECT pg_is_in_recovery()"));
    }

    [Fact]
    public async Task A_session_of_a_standby_is_handed_out_when_its_server_is_promoted()
    {
        var source = await WithPoolAsync(1);
        var candidate = _topology["b"];
        var isPromoted = false;
        var asked = 0;
        candidate.Answer = sql => sql == "SELECT pg_is_in_recovery()" && Interlocked.Increment(ref asked) > 0
            ? Reply.Of(!Volatile.Read(ref isPromoted))
            : null;
        _topology.Intend("1", s_long, candidate: "b");
        await UntilWarmAsync();

        candidate.LoginsWait = new TaskCompletionSource().Task;
        _topology.Lead("b");
        var opening = OpenAsync(source);
        await WaitUntil.TrueAsync(() => Volatile.Read(ref asked) > 2);
        Assert.False(opening.IsCompleted);
        Volatile.Write(ref isPromoted, true);

        await using var opened = await opening;
        Assert.Equal(candidate.Port, opened.Port);
    }

    [Theory]
    [InlineData("called off")]
    [InlineData("another leads")]
    public async Task What_was_opened_in_vain_is_let_go(string end)
    {
        await WithPoolAsync(2);
        _topology.Intend("1", s_long, candidate: "b");
        await UntilWarmAsync();

        if (end == "another leads")
        {
            _topology.Lead("c");
        }
        else
        {
            _topology.Intend(null);
        }

        await WaitUntil.TrueAsync(() => _topology["b"].Open.IsEmpty);
    }

    [Theory]
    [InlineData(2, true, 2)]
    [InlineData(0, true, 0)]
    [InlineData(32, null, 0)]   // before PostgreSQL 14: refused as a standby, as ever
    public async Task No_more_are_opened_than_is_set_and_none_that_can_not_tell_its_role(
        int most, bool? reported, int opened)
    {
        await WithPoolAsync(4, options => options.MaximumWarmConnections = most);
        var candidate = _topology["b"];
        candidate.InRecovery = reported;
        candidate.Answer = sql => sql == "SELECT pg_is_in_recovery()" ? Reply.Of(true) : null;

        _topology.Intend("1", s_long, candidate: "b");
        await WaitUntil.TrueAsync(() => _topology["a"].Open.IsEmpty);
        if (reported is null)
        {
            await UntilToldAsync("warming b ended early");
        }
        else if (opened > 0)
        {
            await UntilWarmAsync();
            Assert.Equal(opened, candidate.Logins);
        }

        await WaitUntil.TrueAsync(() => candidate.Open.Count == opened);
    }

    // A leader, a, with so many idle connections.
    private async Task<RoutingDataSource> WithPoolAsync(int count, Action<RoutingOptions>? set = null)
    {
        var source = _topology.Build(options =>
        {
            (options.OpenTimeout, options.WarmConnections) = (TimeSpan.FromMinutes(1), 0);
            set?.Invoke(options);
        }, builder => builder.UseLoggerFactory(_log));
        _topology.Lead("a");
        var opened = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => OpenAsync(source)));
        foreach (var one in opened)
        {
            await one.DisposeAsync();
        }
        await WaitUntil.TrueAsync(() => _topology["a"].Open.Count == count);
        return source;
    }

    private Task UntilWarmAsync() => UntilToldAsync("is about to lead, and has");

    private Task UntilToldAsync(string words) => WaitUntil.TrueAsync(
        () => _log.Lines.Any(line => line.Contains(words, StringComparison.Ordinal)));

    private static async Task<NpgsqlConnection> OpenAsync(RoutingDataSource source) =>
        await source.OpenConnectionAsync(Cancellation);

    private static async Task SelectAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("SELECT 1", connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }
}
