using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Routing.TestKit;

namespace Routing.Driver.Tests.Real;

/// <summary>Contexts of EF Core that write through one data source, with Npgsql's execution strategy.</summary>
internal sealed class ContextLoad : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly DbContextOptions _options;
    private readonly Task _running;
    private int _retries;
    private int _written;

    public ContextLoad(RoutingDataSource source, int callers)
    {
        _options = new DbContextOptionsBuilder()
            .UseNpgsql(source, npgsql => npgsql.EnableRetryOnFailure(["25006"])).UseRouting(source)
            .LogTo(
                static (id, _) => id == CoreEventId.ExecutionStrategyRetrying,
                _ => Interlocked.Increment(ref _retries))
            .Options;
        _running = Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(CallAsync)));
    }

    /// <summary>How often the strategy has seen an exception.</summary>
    public int Retries => _retries;

    /// <summary>Waits until so many more statements are done.</summary>
    public async Task MoreAsync(int count)
    {
        var before = Volatile.Read(ref _written);
        await WaitUntil.TrueAsync(
            () => Volatile.Read(ref _written) >= before + count || _running.IsCompleted, TimeSpan.FromMinutes(1));
        Assert.False(_running.IsCompleted, _running.Exception?.ToString());
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task CallAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            await using var context = new DbContext(_options);
            await context.Database.CreateExecutionStrategy().ExecuteAsync(async () =>
            {
                await using var transaction = await context.Database.BeginTransactionAsync();
                await context.Database.ExecuteSqlRawAsync("CREATE TEMP TABLE scratch () ON COMMIT DROP");
                await transaction.CommitAsync();
            });
            Interlocked.Increment(ref _written);
        }
    }
}
