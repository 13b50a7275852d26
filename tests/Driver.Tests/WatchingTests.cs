using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>What the driver tells of itself.</summary>
public sealed class WatchingTests : IDisposable
{
    private readonly PretendTopology _topology = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _topology.Dispose();

    [Fact]
    public async Task Changes_are_told_in_order_and_a_handler_that_fails_does_no_harm()
    {
        var source = _topology.Build();
        var told = new ConcurrentQueue<TopologyChangedEventArgs>();
        source.TopologyChanged += (_, change) =>
        {
            told.Enqueue(change);
            throw new InvalidOperationException("a bad handler");
        };

        _topology.Lead("a");
        await WaitUntil.TrueAsync(() => told.Any(change => change.Current.Leader == "a"));
        _topology.Show();   // nothing new
        _topology.Lead("b");
        await WaitUntil.TrueAsync(() => told.Any(change => change.Current.Leader == "b"));
        _topology.IsLive(false);
        await WaitUntil.TrueAsync(() => told.Any(change => !change.Current.IsLive && change.Current.IsKnown));

        Assert.Equal([true, true, false], told.Select(change => change.LeaderChanged));
        Assert.All(told.Zip(told.Skip(1)),
            pair => Assert.Equal(pair.First.Current.Leader, pair.Second.Previous.Leader));
    }

    [Fact]
    public async Task Opens_attempts_and_changes_are_measured()
    {
        var seen = new ConcurrentDictionary<string, double>(StringComparer.Ordinal);
        using var listener = new MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == RoutingDataSource.MeterName)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>(
            (instrument, value, _, _) => seen.AddOrUpdate(instrument.Name, value, (_, sum) => sum + value));
        listener.SetMeasurementEventCallback<int>(
            (instrument, value, _, _) => seen.AddOrUpdate(instrument.Name, value, (_, sum) => sum + value));
        listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) =>
            seen.AddOrUpdate($"{instrument.Name} {tags.ToArray().Single(tag => tag.Key == "target").Value}", 1,
                (_, sum) => sum + 1));
        listener.Start();
        var source = _topology.Build();

        var opening = source.OpenConnectionAsync(Cancellation).AsTask();
        await WaitUntil.TrueAsync(() => seen.ContainsKey("routing.driver.open.waits"));
        _topology.Lead("a");
        await using var connection = await opening;
        listener.RecordObservableInstruments();

        Assert.Equal(1, seen["routing.driver.open.duration primary"]);
        Assert.Equal(1, seen["routing.driver.leader.changes"]);
        Assert.Equal(1, seen["routing.driver.leader.known"]);
        Assert.Equal(1, seen["routing.driver.connections.busy"]);
        Assert.Equal(0, seen["routing.driver.topology.stale"]);
        Assert.Equal(source.Topology.Term, seen["routing.driver.term"]);
    }

    [Fact]
    public async Task An_open_that_waits_is_a_span_with_the_member_it_got()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = static one => one.Name == RoutingDataSource.ActivitySourceName,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        var source = _topology.Build();
        _topology.Lead("a");

        await using (await source.OpenConnectionAsync(Cancellation))
        {
            // physically
        }
        await using (await source.OpenConnectionAsync(Cancellation))
        {
            // from the pool: not worth one
        }

        var span = Assert.Single(spans);
        Assert.Equal(("routing.open", "a"), (span.OperationName, span.GetTagItem("routing.member")));
    }

    [Fact]
    public async Task The_health_check_opens_a_connection_and_knows_a_silent_source()
    {
        // time for the first open of a slow machine
        var source = _topology.Build(options => options.OpenTimeout = TimeSpan.FromSeconds(3));
        var check = new RoutingHealthCheck(source);
        var context = new HealthCheckContext
        {
            Registration = new HealthCheckRegistration("db", check, HealthStatus.Unhealthy, null),
        };
        _topology.Lead("a");
        await WaitUntil.TrueAsync(() => source.Topology.Leader == "a");

        var healthy = await check.CheckHealthAsync(context, Cancellation);
        _topology.IsLive(false);
        await WaitUntil.TrueAsync(() => !source.Topology.IsLive);
        var degraded = await check.CheckHealthAsync(context, Cancellation);
        _topology.IsLive(true);
        _topology.Lead(null);
        await WaitUntil.TrueAsync(() => source.Topology.Leader is null);
        var unhealthy = await check.CheckHealthAsync(context, Cancellation);

        Assert.Equal(
            [HealthStatus.Healthy, HealthStatus.Degraded, HealthStatus.Unhealthy],
            new[] { healthy, degraded, unhealthy }.Select(one => one.Status));
        Assert.Equal("a", healthy.Data["leader"]);
        Assert.Contains("nobody holds the leader key", unhealthy.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_may_be_prepared_on_every_member()
    {
        var prepared = 0;
        var source = _topology.Build(configure: builder => builder
            .ConfigureMember(npgsql => npgsql.ConnectionStringBuilder.ApplicationName = "shop")
            .UsePhysicalConnectionInitializer(_ => prepared++, _ =>
            {
                Interlocked.Increment(ref prepared);
                return Task.CompletedTask;
            }));
        _topology.Lead("a");

        await using var write = await source.OpenConnectionAsync(Cancellation);
        await using var read = await source.OpenConnectionAsync(TargetSessionAttributes.Standby, Cancellation);

        Assert.Equal(2, prepared);
        Assert.Contains("shop", write.ConnectionString, StringComparison.Ordinal);
    }
}
