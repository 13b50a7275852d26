namespace Routing.Simulation.Tests;

/// <summary>A clock of a node: it began somewhere, runs a little fast or slow, and shows a wall time of its own.</summary>
/// <param name="world">True time.</param>
/// <param name="process">Whose timers these are; null: nobody's, they run as part of the world.</param>
/// <param name="start">What it shows at the beginning.</param>
/// <param name="drift">0.0001: it gains 100 µs in a second.</param>
/// <param name="wallError">How wrong its wall time is.</param>
internal sealed class SimClock(SimWorld world, SimProcess? process, TimeSpan start, double drift, TimeSpan wallError) : TimeProvider
{
    private static readonly DateTimeOffset s_epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override long GetTimestamp() => start.Ticks + (long)(world.Now * (1 + drift));

    public override DateTimeOffset GetUtcNow() => s_epoch + wallError + TimeSpan.FromTicks(world.Now);

    /// <summary>The wall time of somebody whose clock is right.</summary>
    public static DateTimeOffset TrueTime(SimWorld world) => s_epoch + TimeSpan.FromTicks(world.Now);

    /// <summary>The same clock as another process of the node sees it.</summary>
    public SimClock For(SimProcess? other) => new(world, other, start, drift, wallError);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class Timer(SimClock clock, TimerCallback callback, object? state) : ITimer
    {
        private int _winding;
        private TimeSpan _period;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            var winding = ++_winding;
            _period = period;
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                Schedule(dueTime, winding);
            }
            return true;
        }

        public void Dispose() => _winding++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Schedule(TimeSpan due, int winding) => clock.World.At(due / (1 + clock.Drift), () =>
        {
            if (winding != _winding)
            {
                return;
            }
            if (clock.Process is { } process)
            {
                process.Run(() => Fire(winding));
            }
            else
            {
                Fire(winding);
            }
        });

        private void Fire(int winding)
        {
            if (winding != _winding)
            {
                return;
            }
            callback(state);
            if (winding == _winding && _period > TimeSpan.Zero)
            {
                Schedule(_period, winding);
            }
        }
    }

    private SimWorld World => world;

    private double Drift => drift;

    private SimProcess? Process => process;
}
