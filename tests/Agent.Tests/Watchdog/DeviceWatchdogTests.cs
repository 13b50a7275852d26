using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Config;
using Routing.Agent.Watchdog;

namespace Routing.Agent.Tests.Watchdog;

public sealed class DeviceWatchdogTests
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_loopWait = TimeSpan.FromSeconds(10);

    private readonly List<string> _log = [];
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void With_the_defaults_the_device_fires_5_s_before_the_lease_ends()
    {
        var device = new FakeDevice();
        using var watchdog = Over(device, WatchdogMode.Automatic);

        Assert.True(watchdog.TryActivate(s_ttl, s_loopWait));
        watchdog.KeepAlive();
        watchdog.Disable();

        Assert.Equal("opened, timeout 25, 1, 1, V, closed", device.Story);
        Assert.Null(watchdog.Problem);
        Assert.Empty(_log);
    }

    [Fact]
    public void A_margin_of_minus_1_means_half_of_the_lease()
    {
        var device = new FakeDevice();
        using var watchdog = Over(device, WatchdogMode.Automatic, margin: null);

        watchdog.TryActivate(TimeSpan.FromSeconds(31), s_loopWait);

        Assert.Equal(15, device.TimeoutSeconds);
    }

    [Fact]
    public void A_changed_ttl_changes_the_timeout_without_stopping_the_device()
    {
        var device = new FakeDevice();
        using var watchdog = Over(device, WatchdogMode.Required);

        watchdog.TryActivate(s_ttl, s_loopWait);
        watchdog.TryActivate(s_ttl, s_loopWait);
        watchdog.TryActivate(TimeSpan.FromSeconds(40), s_loopWait);

        Assert.Equal("opened, timeout 25, 1, timeout 35, 1", device.Story);
    }

    [Theory]
    [InlineData(WatchdogMode.Automatic, true)]
    [InlineData(WatchdogMode.Required, false)]
    public void Without_a_device_only_a_required_one_forbids_to_lead(WatchdogMode mode, bool mayLead)
    {
        using var watchdog = new DeviceWatchdog(
            new WatchdogSettings { Mode = mode, Device = "/dev/no-watchdog" }, path => new LinuxWatchdogDevice(path),
            _time, _log.Add);

        watchdog.Rest(s_ttl, s_loopWait);
        Assert.Equal(mayLead, watchdog.TryActivate(s_ttl, s_loopWait));
        watchdog.Disable();
        Assert.Equal(mayLead, watchdog.TryActivate(s_ttl, s_loopWait));
        Assert.Equal(mayLead, watchdog.IsUsable);
        Assert.Equal(TimeSpan.Zero, watchdog.Timeout);
        Assert.Contains("/dev/no-watchdog", watchdog.Problem, StringComparison.Ordinal);
        Assert.Single(_log);   // one sentence, however often the role changes
    }

    [Theory]
    [InlineData(WatchdogMode.Automatic, true)]
    [InlineData(WatchdogMode.Required, false)]
    public void A_lease_too_short_for_the_margin_leaves_the_device_closed(WatchdogMode mode, bool mayLead)
    {
        var device = new FakeDevice();
        using var watchdog = Over(device, mode);

        Assert.Equal(mayLead, watchdog.TryActivate(TimeSpan.FromSeconds(14), s_loopWait));

        Assert.Equal("", device.Story);
        Assert.Single(_log);
    }

    [Theory]
    [InlineData(WatchdogMode.Automatic, true, "opened, timeout 25, 1")]
    [InlineData(WatchdogMode.Required, false, "opened, timeout 25, V, closed")]
    public void A_device_that_fires_too_late_is_used_with_a_warning_unless_it_is_required(
        WatchdogMode mode, bool mayLead, string story)
    {
        var device = new FakeDevice { Actual = 60 };
        using var watchdog = Over(device, mode);

        Assert.Equal(mayLead, watchdog.TryActivate(s_ttl, s_loopWait));

        Assert.Equal(story, device.Story);
        Assert.Contains("60 s", watchdog.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(WatchdogMode.Automatic, true)]
    [InlineData(WatchdogMode.Required, false)]
    public void A_device_that_fires_within_one_loop_is_not_used(WatchdogMode mode, bool mayLead)
    {
        var device = new FakeDevice { Actual = 5 };
        using var watchdog = Over(device, mode);

        Assert.Equal(mayLead, watchdog.TryActivate(s_ttl, s_loopWait));

        Assert.Equal(TimeSpan.Zero, watchdog.Timeout);
        Assert.EndsWith("V, closed", device.Story, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_without_a_settable_timeout_is_taken_as_it_is()
    {
        var device = new FakeDevice { CanSetTimeout = false, Actual = 20 };
        using var watchdog = Over(device, WatchdogMode.Required);

        Assert.True(watchdog.TryActivate(s_ttl, s_loopWait));

        Assert.Equal("opened, 1", device.Story);
    }

    [Fact]
    public void Off_means_off()
    {
        var device = new FakeDevice();
        using var watchdog = Over(device, WatchdogMode.Off);

        Assert.True(watchdog.TryActivate(s_ttl, s_loopWait));
        watchdog.KeepAlive();
        watchdog.Disable();

        Assert.Equal("", device.Story);
    }

    [Fact]
    public void A_write_that_fails_disqualifies_a_node_that_needs_the_device()
    {
        var device = new FakeDevice();
        using var watchdog = Over(device, WatchdogMode.Required);
        watchdog.TryActivate(s_ttl, s_loopWait);

        device.Fails = true;
        watchdog.KeepAlive();

        Assert.False(watchdog.IsUsable);
        Assert.Contains("broken", watchdog.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_a_successful_open_ends_a_failure()
    {
        var device = new FakeDevice { OpenFails = true };
        using var watchdog = Over(device, WatchdogMode.Required);

        Assert.False(watchdog.IsUsable);   // nothing is known yet
        for (var run = 0; run < 10; run++)
        {
            watchdog.Rest(s_ttl, s_loopWait);
            Assert.False(watchdog.IsUsable);
            Assert.False(watchdog.TryActivate(s_ttl, s_loopWait));
        }
        device.OpenFails = false;
        watchdog.Rest(s_ttl, s_loopWait);

        Assert.True(watchdog.IsUsable);
        Assert.Equal("opened, timeout 25, 1, V, closed", device.Story);
        Assert.Equal(2, _log.Count);   // that it fails, and that it works
    }

    [Fact]
    public void A_device_that_fails_again_and_again_while_it_is_relied_on_is_left_alone_for_longer_and_longer()
    {
        var device = new FakeDevice();
        using var watchdog = Over(device, WatchdogMode.Required);
        var pauses = new List<TimeSpan>();
        for (var loss = 0; loss < 3; loss++)
        {
            Assert.True(watchdog.TryActivate(s_ttl, s_loopWait));
            device.Fails = true;
            watchdog.KeepAlive();
            Assert.False(watchdog.IsUsable);
            watchdog.Disable();
            device.Fails = false;
            var lost = _time.GetTimestamp();
            while (!watchdog.IsUsable)
            {
                _time.Advance(TimeSpan.FromSeconds(5));
                watchdog.Rest(s_ttl, s_loopWait);
            }
            pauses.Add(_time.GetElapsedTime(lost));
        }

        Assert.Equal([30, 60, 120], pauses.Select(pause => pause.TotalSeconds));
    }

    [Fact]
    public void A_device_that_cannot_be_stopped_is_fed_while_nothing_is_guarded()
    {
        var device = new FakeDevice { CanClose = false };
        using var watchdog = Over(device, WatchdogMode.Required);

        watchdog.Rest(s_ttl, s_loopWait);
        watchdog.Rest(s_ttl, s_loopWait);
        Assert.Equal(TimeSpan.Zero, watchdog.Timeout);
        Assert.True(watchdog.TryActivate(s_ttl, s_loopWait));
        watchdog.KeepAlive();
        watchdog.Disable();
        watchdog.Rest(s_ttl, s_loopWait);

        Assert.Equal("opened, timeout 25, 1, 1, timeout 25, 1, 1, 1", device.Story);
    }

    [Fact]
    public void A_timeout_that_leaves_no_time_for_a_late_renewal_is_not_used()
    {
        var device = new FakeDevice();
        using var watchdog = Over(device, WatchdogMode.Required);

        Assert.False(watchdog.TryActivate(TimeSpan.FromSeconds(7), TimeSpan.FromSeconds(1)));
        Assert.Equal("", device.Story);
        Assert.True(watchdog.TryActivate(TimeSpan.FromSeconds(8), TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void The_bytes_reach_the_device_file_and_a_file_that_is_no_watchdog_is_refused()
    {
        var path = Path.GetTempFileName();
        try
        {
            using (var device = new LinuxWatchdogDevice(path))
            {
                device.Write((byte)'1');
                device.Write((byte)'V');
                Assert.Throws<IOException>(() => device.Support);
            }

            Assert.Equal("1V", File.ReadAllText(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    private DeviceWatchdog Over(FakeDevice device, WatchdogMode mode, double? margin = 5) => new(
        new WatchdogSettings { Mode = mode, SafetyMargin = margin is { } m ? TimeSpan.FromSeconds(m) : null },
        _ => device.Open(),
        _time,
        _log.Add);

    private sealed class FakeDevice : IWatchdogDevice
    {
        private readonly List<string> _story = [];
        private int _timeout = 60;

        public int? Actual { get; init; }

        public bool CanSetTimeout { get; init; } = true;

        public bool CanClose { get; init; } = true;

        public bool Fails { get; set; }

        public bool OpenFails { get; set; }

        public string Story => string.Join(", ", _story);

        public WatchdogSupport Support => new("fake", CanSetTimeout, CanClose);

        public int TimeoutSeconds
        {
            get => Actual ?? _timeout;
            set
            {
                _timeout = value;
                _story.Add($"timeout {value}");
            }
        }

        public FakeDevice Open()
        {
            if (OpenFails)
            {
                throw new IOException("the fake cannot be opened");
            }

            _story.Add("opened");
            return this;
        }

        public void Write(byte value)
        {
            if (Fails)
            {
                throw new IOException("the fake is broken");
            }

            _story.Add(((char)value).ToString());
        }

        public void Dispose() => _story.Add("closed");
    }
}
