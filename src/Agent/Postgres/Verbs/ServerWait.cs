
namespace Routing.Agent.Postgres.Verbs;

/// <summary>How often, and how long, the agent looks whether the server has got as far as it should.</summary>
internal static class ServerWait
{
    public static readonly TimeSpan Short = TimeSpan.FromMilliseconds(5);
    public static readonly TimeSpan Long = TimeSpan.FromMilliseconds(50);

    /// <summary>How long a reload of the configuration may take.</summary>
    public static readonly TimeSpan ReloadLimit = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_shortFor = TimeSpan.FromSeconds(3);

    /// <summary>The pause to the next look at a start or a stop that has lasted so long already.</summary>
    public static TimeSpan Pause(TimeSpan elapsed) => elapsed < s_shortFor ? Short : Long;

    /// <summary>Waits until a reload has had its effect; false: it has not within <see cref="ReloadLimit"/>.</summary>
    public static async Task<bool> ForReloadAsync(
        Func<Task<bool>> hasEffect, TimeProvider time, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        while (!await hasEffect())
        {
            if (time.GetElapsedTime(start) > ReloadLimit)
            {
                return false;
            }
            await Task.Delay(Short, time, cancellationToken);
        }
        return true;
    }
}
