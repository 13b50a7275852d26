using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Routing.Hosting.Service;
using Routing.TestKit;

namespace Routing.Agent.Tests.Service;

/// <summary>What systemd is told, on a socket of the test's own.</summary>
public sealed class ServiceNotifierTests : IDisposable
{
    private readonly TempDirectory _directory = new("notify");
    private readonly Socket _manager = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly FakeTimeProvider _time = new();

    public ServiceNotifierTests()
    {
        _manager.Bind(new UnixDomainSocketEndPoint(_directory["socket"]));
        _manager.ReceiveTimeout = 20_000;
    }

    public void Dispose()
    {
        _manager.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task It_tells_each_state_and_leaves_nothing_for_children_to_speak_with()
    {
        Environment.SetEnvironmentVariable("NOTIFY_SOCKET", _directory["socket"]);
        Environment.SetEnvironmentVariable("WATCHDOG_USEC", "4000000");
        Environment.SetEnvironmentVariable("WATCHDOG_PID", null);
        var notifier = ServiceNotifier.TakeFromProcess(_time, NullLogger.Instance);

        Assert.Null(Environment.GetEnvironmentVariable("NOTIFY_SOCKET"));
        Assert.Null(Environment.GetEnvironmentVariable("WATCHDOG_USEC"));
        notifier.Ready("serving");
        Assert.Equal("READY=1\nSTATUS=serving", Received());
        notifier.Reloading();
        Assert.Equal("RELOADING=1", Received());
        notifier.Ready();
        Assert.Equal("READY=1", Received());
        notifier.Stopping("draining");
        Assert.Equal("STOPPING=1\nSTATUS=draining", Received());

        using var stop = new CancellationTokenSource();
        var living = notifier.GiveSignsOfLifeAsync(stop.Token);
        _time.Advance(TimeSpan.FromSeconds(2));   // half of what systemd waits
        Assert.Equal("WATCHDOG=1", Received());
        await stop.CancelAsync();
        await living;
    }

    private string Received()
    {
        var bytes = new byte[256];
        return Encoding.UTF8.GetString(bytes, 0, _manager.Receive(bytes));
    }
}
