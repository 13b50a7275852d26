using Microsoft.Extensions.Logging;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>An application's logger that throws in the middle of a change of leader holds up nobody.</summary>
public sealed class BrokenLoggerTests : IDisposable
{
    private readonly PretendTopology _topology = new();

    public void Dispose() => _topology.Dispose();

    [Fact]
    public async Task Who_waits_for_a_leader_hears_of_it_all_the_same()
    {
        using var broken = new Broken();
        var source = _topology.Build(
            options => options.OpenTimeout = TimeSpan.FromSeconds(60), builder => builder.UseLoggerFactory(broken));
        _topology.Lead(null);
        await WaitUntil.TrueAsync(() => source.Topology.IsKnown);
        var opening = source.OpenConnectionAsync(TestContext.Current.CancellationToken).AsTask();

        _topology.Lead("b");
        await using var connection =
            await opening.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Equal(_topology["b"].Port, connection.Port);
        Assert.True(broken.Threw);
    }

    private sealed class Broken : ILoggerFactory, ILogger
    {
        public bool Threw { get; private set; }

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (formatter(state, exception).Contains("writes go to", StringComparison.Ordinal))
            {
                Threw = true;
                throw new InvalidOperationException("the disk of the log is full");
            }
        }

        public void Dispose()
        {
            // nothing is held
        }
    }
}
