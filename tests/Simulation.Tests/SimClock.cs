namespace Routing.Simulation.Tests;

/// <summary>
/// A clock of a node: it began somewhere, runs a little fast or slow, and shows a wall time of its own.
/// </summary>
/// <param name="time">The node's time, which all clocks of the node share.</param>
/// <param name="process">Whose timers these are; null: nobody's, they run as part of the world.</param>
internal sealed class SimClock(NodeTime time, SimProcess? process) : TimeProvider
{
    private static readonly DateTimeOffset s_epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <param name="world">True time.</param>
    /// <param name="process">Whose timers these are; null: nobody's, they run as part of the world.</param>
    /// <param name="start">What it shows at the beginning.</param>
    /// <param name="drift">0.0001: it gains 100 µs in a second.</param>
    /// <param name="wallError">How wrong its wall time is.</param>
    public SimClock(SimWorld world, SimProcess? process, TimeSpan start, double drift, TimeSpan wallError)
        : this(new NodeTime(world, start, drift) { WallError = wallError }, process)
    {
    }

    /// <summary>The node's time.</summary>
    public NodeTime Time => time;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override long GetTimestamp() => time.Now;

    public override DateTimeOffset GetUtcNow() => s_epoch + time.WallError + TimeSpan.FromTicks(time.World.Now);

    /// <summary>The wall time of somebody whose clock is right.</summary>
    public static DateTimeOffset TrueTime(SimWorld world) => s_epoch + TimeSpan.FromTicks(world.Now);

    /// <summary>The same clock as another process of the node sees it.</summary>
    public SimClock For(SimProcess? other) => new(time, other);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(time, process, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class Timer(NodeTime time, SimProcess? process, TimerCallback callback, object? state) : ITimer
    {
        private int _winding;
        private TimeSpan _period;

        private NodeTime Time => time;

        private SimProcess? Process => process;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            var winding = ++_winding;
            _period = period;
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                Schedule(time.Now + Math.Max(0, dueTime.Ticks), winding);
            }
            return true;
        }

        public void Dispose() => _winding++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Schedule(long due, int winding) =>
            time.World.At(time.Until(due), new Setting(this, due, winding));

        private void Fire(int winding)
        {
            if (winding != _winding)
            {
                return;
            }
            callback(state);
            if (winding == _winding && _period > TimeSpan.Zero)
            {
                Schedule(time.Now + _period.Ticks, winding);
            }
        }

        /// <summary>What the timer is set to.</summary>
        /// <param name="timer">The timer, which may be set anew.</param>
        /// <param name="due">By the node's own time: should that stand still meanwhile, the timer waits longer.</param>
        /// <param name="winding">The number of this setting.</param>
        private sealed class Setting(Timer timer, long due, int winding) : SimEvent
        {
            private static readonly SendOrPostCallback s_fire = static setting => ((Setting)setting!).Fire();

            public override bool IsVoid => winding != timer._winding;

            public override void Happen()
            {
                if (timer.Time.IsFrozen)
                {
                    timer.Time.WhenItGoesOn(() => timer.Schedule(due, winding));
                }
                else if (timer.Time.Now < due - 1)
                {
                    timer.Schedule(due, winding);
                }
                else if (timer.Process is { } process)
                {
                    process.Run(s_fire, this);
                }
                else
                {
                    Fire();
                }
            }

            private void Fire() => timer.Fire(winding);
        }
    }
}
