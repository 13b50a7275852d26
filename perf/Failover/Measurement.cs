using System.Diagnostics;
using Npgsql;
using Routing.TestKit;

namespace Routing.Failover;

/// <summary>Lets events happen to clusters and keeps what the writer saw.</summary>
/// <param name="postgres">The folder of PostgreSQL's programs.</param>
/// <param name="etcd">The etcd of all clusters.</param>
/// <param name="proxy">Our proxy, native; null when no writer goes through a router.</param>
/// <param name="progress">Where each run is told.</param>
internal sealed class Measurement(string postgres, Uri etcd, string? proxy, TextWriter progress) : IAsyncDisposable
{
    private const int WritesBefore = 200;
    private static readonly TimeSpan s_writerPatience = TimeSpan.FromSeconds(90);
    private readonly Dictionary<Contender, TestedCluster> _clusters = [];
    private readonly Dictionary<TestedCluster, Router> _routers = [];
    private readonly Random _random = new(1);

    /// <summary>What was seen, in the order of the runs.</summary>
    public List<(Event Event, Contender Contender, bool IsRouted, Outage Outage)> Outages { get; } = [];

    /// <summary>Runs that came to no result, with the reason.</summary>
    public List<string> Failures { get; } = [];

    /// <summary>The contender's cluster, started when it does not run.</summary>
    public async Task<TestedCluster> ClusterOfAsync(Contender contender, CancellationToken cancellationToken)
    {
        if (!_clusters.TryGetValue(contender, out var cluster))
        {
            var started = Stopwatch.GetTimestamp();
            cluster =
                _clusters[contender] = await TestedCluster.StartAsync(contender, postgres, etcd, cancellationToken);
            await progress.WriteLineAsync(
                $"{contender}: three nodes after {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s");
        }
        return cluster;
    }

    /// <summary>One run. A failure is noted, and the contender's cluster replaced.</summary>
    public async Task RunAsync(Event what, Contender contender, bool isRouted, CancellationToken cancellationToken)
    {
        try
        {
            var outage = await MeasureAsync(
                await ClusterOfAsync(contender, cancellationToken), what, isRouted, cancellationToken);
            Outages.Add((what, contender, isRouted, outage));
            await progress.WriteLineAsync(
                $"{what.Name}, {contender}, {(isRouted ? "routed" : "direct")}: {outage.Pause.TotalSeconds:0.000} s, "
                    + $"{outage.Errors} errors, {outage.Missing} missing");
        }
        catch (Exception failed) when (!cancellationToken.IsCancellationRequested)
        {
            await NoteFailureAsync(
                $"{what.Name}, {contender}, {(isRouted ? "routed" : "direct")}", failed, contender);
        }
    }

    /// <summary>Notes a run without a result; the contender gets another cluster for the next one.</summary>
    public async Task NoteFailureAsync(string run, Exception failed, Contender contender)
    {
        Failures.Add($"{run}: {failed.Message}");
        await progress.WriteLineAsync($"FAILED: {Failures[^1]}");
        if (_clusters.Remove(contender, out var cluster))
        {
            await EndAsync(cluster);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_clusters.Values.Select(EndAsync));
        _clusters.Clear();
    }

    private async Task EndAsync(TestedCluster cluster)
    {
        if (_routers.Remove(cluster, out var router))
        {
            await router.DisposeAsync();
        }
        await cluster.DisposeAsync();
    }

    private IReadOnlyList<NpgsqlDataSource> WaysTo(TestedCluster cluster, bool isRouted)
    {
        if (!isRouted)
        {
            return [.. cluster.Nodes.Select(node => node.Server)];
        }
        if (!_routers.TryGetValue(cluster, out var router))
        {
            router = _routers[cluster] = Router.Start(cluster, proxy!);
        }
        return [router.Way];
    }

    private async Task<Outage> MeasureAsync(
        TestedCluster cluster, Event what, bool isRouted, CancellationToken cancellationToken)
    {
        var primary = await cluster.BecomeWholeAsync(cancellationToken);
        // The event shall meet the agents' loops at any phase.
        await Task.Delay(TimeSpan.FromSeconds(1 + (3 * _random.NextDouble())), cancellationToken);

        await using var writer = new Writer(WaysTo(cluster, isRouted));
        await WaitUntil.TrueAsync(() => writer.Count > WritesBefore, what: "the writer writes");
        var (sessions, errors) = (writer.Sessions, writer.Errors);
        var moment = Stopwatch.GetTimestamp();
        var happening = what.HappenAsync(cluster, primary);
        // A router may move the writer's session to the new primary: then there is no new session.
        await WaitUntil.TrueAsync(
            async () => writer.Sessions > sessions || happening.IsFaulted
                || (await cluster.PrimaryAsync(cancellationToken) is { } leading && leading != primary),
            s_writerPatience, what: "the writer has a new session, or another member is primary");
        var reached = writer.Count;
        await WaitUntil.TrueAsync(
            () => writer.Count > reached || happening.IsFaulted, s_writerPatience, "the writer writes again");
        await happening;

        if (what.EndsAgent)
        {
            await primary.WaitForEndAsync(cancellationToken);
            primary.StartAgent();
        }
        var successor = await cluster.BecomeWholeAsync(cancellationToken);
        var count = writer.Count;
        await WaitUntil.TrueAsync(() => writer.Count > count, what: "the writer writes to the whole cluster");
        await writer.StopAsync();
        return new Outage(
            writer.LongestPauseSince(moment), writer.Errors - errors,
            await writer.MissingAsync(successor, cancellationToken));
    }
}
