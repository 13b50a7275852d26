namespace Routing.Simulation.Tests;

/// <summary>True time, and everything that is going to happen. One thread; the seed decides every order.</summary>
internal sealed class SimWorld(int seed)
{
    private readonly PriorityQueue<SimEvent, (long At, int Tie, long Number)> _events = new();
    private readonly List<(SimProcess Process, SendOrPostCallback Work, object? State)> _ready = [];
    private long _number;

    /// <summary>The only source of chance.</summary>
    public Random Random { get; } = new(seed);

    /// <summary>True time since the beginning, in ticks of 100 ns.</summary>
    public long Now { get; private set; }

    /// <summary>Steps so far.</summary>
    public long Steps { get; private set; }

    /// <summary>Called after every step.</summary>
    public Action? AfterStep { get; set; }

    /// <summary>The diary of a failing seed; null: none is kept.</summary>
    public List<string>? Diary { get; set; }

    public void At(TimeSpan delay, Action work) => At(delay, new Work(work));

    public void At(TimeSpan delay, SimEvent happening) =>
        _events.Enqueue(happening, (Now + Math.Max(0, delay.Ticks), Random.Next(), ++_number));

    /// <summary>A continuation of a process: runs now, in an order that chance decides.</summary>
    public void Post(SimProcess process, SendOrPostCallback work, object? state) => _ready.Add((process, work, state));

    public void RunUntil(Func<bool> done, TimeSpan atMost)
    {
        var end = Now + atMost.Ticks;
        while (!done() && Step(end))
        {
        }
    }

    public void RunFor(TimeSpan time)
    {
        var end = Now + time.Ticks;
        while (Step(end))
        {
        }
        Now = end;
    }

    public TimeSpan Between(double leastMs, double mostMs) =>
        TimeSpan.FromTicks(
            (long)((leastMs + (Random.NextDouble() * (mostMs - leastMs))) * TimeSpan.TicksPerMillisecond));

    public bool Chance(double probability) => Random.NextDouble() < probability;

    public T Pick<T>(IReadOnlyList<T> among) => among[Random.Next(among.Count)];

    public void Note(string who, string what) =>
        Diary?.Add($"{TimeSpan.FromTicks(Now).TotalSeconds,9:F3} {who,-4} {what}");

    private bool Step(long end)
    {
        if (_ready.Count > 0)
        {
            var index = Random.Next(_ready.Count);
            var (process, work, state) = _ready[index];
            _ready[index] = _ready[^1];
            _ready.RemoveAt(_ready.Count - 1);
            process.Run(work, state);
        }
        else if (Next(end) is { } happening)
        {
            happening.Happen();
        }
        else
        {
            return false;
        }
        Steps++;
        AfterStep?.Invoke();
        return true;
    }

    /// <summary>
    /// The next event up to then; null: there is none. Those that are void by now pass, and change nothing.
    /// </summary>
    private SimEvent? Next(long end)
    {
        while (_events.TryPeek(out var happening, out var key) && key.At <= end)
        {
            _events.Dequeue();
            Now = Math.Max(Now, key.At);
            if (!happening.IsVoid)
            {
                return happening;
            }
            Steps++;
        }
        return null;
    }

    private sealed class Work(Action work) : SimEvent
    {
        public override void Happen() => work();
    }
}
