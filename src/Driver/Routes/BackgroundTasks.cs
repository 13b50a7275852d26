using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Routing.Driver.Diagnostics;

namespace Routing.Driver.Routes;

/// <summary>Work that no caller waits for: it is awaited at the end, and its failures are logged.</summary>
internal sealed class BackgroundTasks(string cluster, ILogger logger)
{
    private readonly ConcurrentDictionary<Task, byte> _running = new();

    public void Add(Func<Task> work)
    {
        var task = RunAsync(work);
        if (!task.IsCompleted)
        {
            _running.TryAdd(task, 0);
            _ = task.ContinueWith(
                static (ended, state) => ((ConcurrentDictionary<Task, byte>)state!).TryRemove(ended, out _), _running,
                CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    public Task WhenAllAsync() => Task.WhenAll(_running.Keys);

    private async Task RunAsync(Func<Task> work)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            await work().ConfigureAwait(false);
        }
        catch (Exception problem)
        {
            logger.BackgroundFailed(cluster, problem);
        }
    }
}
