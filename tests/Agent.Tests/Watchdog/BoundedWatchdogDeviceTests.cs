using Routing.Agent.Watchdog;
using Routing.TestKit;

namespace Routing.Agent.Tests.Watchdog;

/// <summary>Drivers that hang.</summary>
public sealed class BoundedWatchdogDeviceTests
{
    private static readonly TimeSpan s_bound = TimeSpan.FromMilliseconds(100);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_open_that_hangs_is_given_up_and_what_it_opens_later_is_stopped_again()
    {
        using var hold = new ManualResetEventSlim();
        var device = new Device();
        var opens = 0;
        var open = BoundedWatchdogDevice.Opener(
            _ =>
            {
                Interlocked.Increment(ref opens);
                hold.Wait(Cancelled);
                return device;
            },
            s_bound);

        Assert.Contains("opening /dev/slow takes longer", Assert.Throws<IOException>(() => open("/dev/slow")).Message,
            StringComparison.Ordinal);
        Assert.Contains("has not come back", Assert.Throws<IOException>(() => open("/dev/slow")).Message,
            StringComparison.Ordinal);
        Assert.Equal(1, opens);
        hold.Set();

        await WaitUntil.TrueAsync(() => Task.FromResult(device.Story == "V, closed"), TimeSpan.FromSeconds(10),
            "it is stopped");
        using var second = open("/dev/slow");
        Assert.Equal(2, opens);
    }

    [Fact]
    public async Task A_call_that_hangs_fails_and_so_do_all_until_it_comes_back()
    {
        using var hold = new ManualResetEventSlim();
        var device = new Device { Hold = hold };
        using var bounded = BoundedWatchdogDevice.Opener(_ => device, s_bound)("/dev/slow");

        Assert.Throws<IOException>(() => bounded.Write((byte)'1'));
        Assert.Throws<IOException>(() => bounded.TimeoutSeconds);
        hold.Set();

        await WaitUntil.TrueAsync(() => Task.FromResult(device.Story == "1"), TimeSpan.FromSeconds(10), "it came back");
    }

    [Fact]
    public void What_the_driver_says_against_it_is_passed_on() =>
        Assert.Equal("no such device", Assert.Throws<IOException>(
        () =>
            BoundedWatchdogDevice.Opener(_ => throw new IOException("no such device"), s_bound)("/dev/none")).Message);

    /// <summary>open(2) of a named pipe waits for a reader, for ever.</summary>
    [Fact]
    public void A_named_pipe_that_nobody_reads_is_refused_at_once()
    {
        using var directory = new TempDirectory("pipe");
        using var make = System.Diagnostics.Process.Start("mkfifo", directory["pipe"]);
        make.WaitForExit();

        Assert.Contains(directory["pipe"], Assert.Throws<IOException>(
            () => new LinuxWatchdogDevice(directory["pipe"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pipe_that_a_test_reads_is_told_what_a_device_would_be()
    {
        using var directory = new TempDirectory("pipe");
        using var pretended = new PretendWatchdog(directory["pipe"]);

        using (var device = new PipeWatchdogDevice(pretended.Path))
        {
            device.TimeoutSeconds = 16;
            device.Write((byte)'1');
            device.Write((byte)'1');
            device.Write((byte)'V');
            Assert.Equal(16, device.TimeoutSeconds);
            Assert.True(device.Support is { CanClose: true, CanSetTimeout: true });
        }

        await WaitUntil.TrueAsync(() => pretended.Closes == 1, TimeSpan.FromSeconds(30), "it was closed");
        Assert.Equal((2, 16), (pretended.Signs, pretended.TimeoutSeconds));
    }

    private sealed class Device : IWatchdogDevice
    {
        private readonly List<string> _story = [];

        public ManualResetEventSlim? Hold { get; init; }

        public string Story
        {
            get
            {
                lock (_story)
                {
                    return string.Join(", ", _story);
                }
            }
        }

        public WatchdogSupport Support => new("slow", true, true);

        public int TimeoutSeconds { get; set; }

        public void Write(byte value)
        {
            Hold?.Wait(Cancelled);
            Say(((char)value).ToString());
        }

        public void Dispose() => Say("closed");

        private void Say(string word)
        {
            lock (_story)
            {
                _story.Add(word);
            }
        }
    }
}
