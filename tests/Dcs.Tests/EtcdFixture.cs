using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

/// <summary>One etcd member for all tests of a class; each test takes a scope of its own.</summary>
public sealed class EtcdFixture : IAsyncLifetime
{
    public EtcdServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await EtcdServer.StartAsync();

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}

internal static class Stores
{
    public static string NewScope() => $"scope-{Guid.NewGuid():N}";

    public static ILogger<T> Logger<T>() => new TestLogger<T>();

    public static EtcdClusterStore Connect(
        IEnumerable<Uri> endpoints, string scope, Func<EtcdOptions, EtcdOptions>? change = null,
        ILoggerFactory? logs = null)
    {
        var options = new EtcdOptions { Endpoints = [.. endpoints] };
        return new EtcdClusterStore(
            change?.Invoke(options) ?? options, "/service/", scope, TimeProvider.System,
            logs ?? NullLoggerFactory.Instance);
    }
}

/// <summary>Shows what a test's topology watch has to say in the test's own output.</summary>
internal sealed class TestLogger<T> : ILogger<T>
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter) =>
        TestContext.Current.TestOutputHelper?.WriteLine($"{logLevel}: {formatter(state, exception)} {exception}");
}
