using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Config;
using Routing.Agent.Fence;
using Routing.Agent.Loop;
using Routing.Agent.Watchdog;
using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Agent.Tests.Loop;

/// <summary>Fence and watchdog behind one face, both pretended.</summary>
public sealed class PrimaryGuardTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly List<string> _story = [];
    private readonly PretendFence _fence;
    private string? _problem;

    public PrimaryGuardTests() => _fence = new PretendFence(_story);

    [Fact]
    public void The_fence_is_armed_before_the_device_is_touched()
    {
        var guard = Guard(WatchdogMode.Automatic);
        guard.Adopt(Conviction(30));

        guard.Arm(77);

        Assert.Equal("armed 77, opened, 1", string.Join(", ", _story));
    }

    [Fact]
    public void A_device_that_breaks_leaves_the_fence_armed()
    {
        var guard = Guard(WatchdogMode.Automatic);
        _problem = "no device";
        guard.Adopt(Conviction(30));

        guard.Arm(77);
        guard.Adopt(Conviction(60));

        Assert.Equal("armed 77, extended", string.Join(", ", _story));
        Assert.Equal(TimeSpan.Zero, guard.ReserveOf(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task A_required_device_is_opened_before_the_key_is_taken_and_closed_when_it_was_not_won()
    {
        var guard = Guard(WatchdogMode.Required);
        await guard.TendAsync(TestContext.Current.CancellationToken);
        _story.Clear();

        Assert.True(guard.Prepare(Timing.Default));
        Assert.Equal(TimeSpan.FromSeconds(5), guard.ReserveOf(TimeSpan.FromSeconds(30)));
        guard.Disarm();

        Assert.Equal("opened, 1, V, closed", string.Join(", ", _story));
        Assert.Equal(TimeSpan.Zero, guard.ReserveOf(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task A_device_that_cannot_be_opened_bars_until_it_can_whatever_else_is_looked_at()
    {
        _problem = "no permission";
        var guard = Guard(WatchdogMode.Required);
        for (var run = 0; run < 5; run++)
        {
            await guard.TendAsync(TestContext.Current.CancellationToken);
            Assert.False(guard.Prepare(Timing.Default));
            Assert.Equal("no permission", guard.WatchdogProblem);
            guard.Disarm();
        }

        _problem = null;
        await guard.TendAsync(TestContext.Current.CancellationToken);

        Assert.Null(guard.WatchdogProblem);
        Assert.True(guard.Prepare(Timing.Default));
    }

    [Fact]
    public void The_order_of_an_earlier_agent_is_extended_as_soon_as_the_key_is_known_to_be_ours()
    {
        var guard = Guard(WatchdogMode.Off);
        _fence.Arm(77, 5, 0);
        _story.Clear();

        guard.Adopt(Conviction(30));

        Assert.Equal(["extended"], _story);
    }

    [Fact]
    public void What_was_prepared_is_fed_by_renewals_and_kept_by_the_promotion()
    {
        var guard = Guard(WatchdogMode.Automatic);
        guard.Prepare(Timing.Default);
        guard.Adopt(Conviction(30));
        guard.Arm(77);
        guard.Adopt(Conviction(31));

        Assert.Equal("opened, 1, 1, armed 77, extended, 1", string.Join(", ", _story));
    }

    /// <summary>The status still tells of 30 s: then a fence would be looked after every 5 s.</summary>
    [Fact]
    public async Task A_fence_is_looked_after_at_the_pace_of_the_lease_in_force()
    {
        var guard = Guard(WatchdogMode.Off);
        guard.Adopt(Conviction(3) with { Ttl = TimeSpan.FromSeconds(3) });
        using var stop = new CancellationTokenSource();
        var running = guard.RunAsync(stop.Token);
        Assert.Equal(1, _fence.Looks);

        _time.Advance(TimeSpan.FromSeconds(1));

        await WaitUntil.TrueAsync(() => _fence.Looks == 2, TimeSpan.FromSeconds(60));
        await stop.CancelAsync();
        await running;
    }

    private PrimaryGuard Guard(WatchdogMode mode) => new(
        _fence,
        new DeviceWatchdog(
            new WatchdogSettings { Mode = mode },
            _ =>
            {
                if (_problem is not null)
                {
                    throw new IOException(_problem);
                }
                _story.Add("opened");
                return new PretendDevice(_story);
            },
            _time,
            _ => { }),
        () => Timing.Default, _time, NullLogger<PrimaryGuard>.Instance)
    {
        StartOf = _ => 5,
    };

    private Conviction Conviction(double seconds) => new(
        _time.GetTimestamp() + (long)(seconds * _time.TimestampFrequency),
        _time.GetTimestamp() + (long)((seconds - 2.5) * _time.TimestampFrequency),
        Timing.Default.Ttl, Timing.Default.LoopWait);

    private sealed class PretendFence(List<string> story) : IFence
    {
        private int _looks;

        public bool IsGuarding => true;

        public bool IsArmed => ArmedPid != 0;

        public int ArmedPid { get; private set; }

        public FencingReport? LastFencing => null;

        /// <summary>How often somebody has looked after it.</summary>
        public int Looks => Volatile.Read(ref _looks);

        public ValueTask EnsureRunningAsync(CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _looks);
            return ValueTask.CompletedTask;
        }

        public void Arm(int postmasterPid, ulong postmasterStart, long deadline)
        {
            ArmedPid = postmasterPid;
            story.Add($"armed {postmasterPid}");
        }

        public bool ExtendUntil(long deadline)
        {
            story.Add("extended");
            return true;
        }

        public void BringForward(long deadline) => story.Add("brought forward");

        public void Disarm() => ArmedPid = 0;

        public ValueTask<bool> WaitUntilGuardingAsync(TimeSpan bound, CancellationToken cancellationToken) => new(true);

        public void Dismiss() => Disarm();
    }

    private sealed class PretendDevice(List<string> story) : IWatchdogDevice
    {
        public WatchdogSupport Support => new("pretended", true, true);

        public int TimeoutSeconds { get; set; }

        public void Write(byte value) => story.Add(((char)value).ToString());

        public void Dispose() => story.Add("closed");
    }
}
