using Npgsql;

namespace Routing.Driver.Tests;

/// <summary>An open from the pool is as cheap as Npgsql's own.</summary>
public sealed class AllocationTests : IDisposable
{
    private const int Opens = 20_000;
    private readonly PretendTopology _topology = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _topology.Dispose();

    [Fact]
    public async Task An_open_from_the_pool_allocates_no_more_than_that_of_a_bare_source()
    {
        _topology.Lead("a");
        var source = _topology.Build();
        await using var bare = NpgsqlDataSource.Create(
            $"Host=127.0.0.1;Port={_topology["a"].Port};Username=u;Database=d;SSL Mode=Disable;Server Compatibility "
                + $"Mode=NoTypeLoading");
        await WarmAsync(bare.OpenConnectionAsync(Cancellation));
        await WarmAsync(source.OpenConnectionAsync(Cancellation));
        var own = await MeasureAsync(() => bare.OpenConnectionAsync(Cancellation));

        var driver = await MeasureAsync(() => source.OpenConnectionAsync(Cancellation));

        Assert.InRange(driver, 0, own + 1);   // a byte in an open: something else on this thread, once
    }

    private static async Task WarmAsync(ValueTask<NpgsqlConnection> opening)
    {
        await using var connection = await opening;
    }

    private static Task<double> MeasureAsync(Func<ValueTask<NpgsqlConnection>> open) => Task.Run(() =>
    {
        var least = double.MaxValue;
        for (var round = 0; round < 40; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var count = 0; count < Opens; count++)
            {
                var opening = open();
                Assert.True(opening.IsCompleted);
                opening.GetAwaiter().GetResult().Dispose();
            }
            least = Math.Min(least, (double)(GC.GetAllocatedBytesForCurrentThread() - before) / Opens);
        }
        return least;
    });
}
