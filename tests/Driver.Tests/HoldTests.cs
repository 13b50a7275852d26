using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>A leader announces that it is about to hand over.</summary>
public sealed class HoldTests : IDisposable
{
    private static readonly TimeSpan s_long = TimeSpan.FromMinutes(5);

    private readonly PretendTopology _topology = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _topology.Dispose();

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

    private static async Task SelectAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("SELECT 1", connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }
}
