using System.Diagnostics;
using Npgsql;
using Routing.TestKit;

namespace Routing.Failover;

/// <summary>What stands before a cluster in the scenario of sessions.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Title">Its name in the table.</param>
/// <param name="IsOurs">Before our agent, or the established one.</param>
/// <param name="PoolMode">Of PgBouncer; null: it is a router.</param>
internal sealed record FrontKind(string Name, string Title, bool IsOurs, string? PoolMode)
{
    public static IReadOnlyList<FrontKind> All { get; } =
    [
        new("proxy", "routing: agent and proxy", true, null),
        new("haproxy", "established agent, HAProxy", false, null),
        new("session", "established agent, PgBouncer in session mode, PAUSE and RESUME", false, "session"),
        new("transaction", "established agent, PgBouncer in transaction mode, PAUSE and RESUME", false, "transaction"),
    ];
}

/// <summary>What became of the sessions of one run.</summary>
/// <param name="Event">What happened.</param>
/// <param name="Front">Before which front.</param>
/// <param name="Contender">With which agent.</param>
/// <param name="Errors">Statements of writers that failed.</param>
/// <param name="Missing">Acknowledged writes that the primary did not have afterwards.</param>
/// <param name="Pauses">The longest pause of each writer.</param>
/// <param name="Alive">Sessions at rest that live on with what they held, of each kind that could begin.</param>
/// <param name="Words">What the others were told.</param>
/// <param name="Counts">The front's own counters.</param>
internal sealed record SessionRun(
    Event Event, FrontKind Front, Contender Contender, int Errors, int Missing, IReadOnlyList<TimeSpan> Pauses,
    IReadOnlyDictionary<SessionGroup, int> Alive, IReadOnlyList<string> Words,
    IReadOnlyDictionary<string, long> Counts);

/// <summary>The scenario of sessions: some write, some are at rest, and an event meets all of them.</summary>
/// <param name="measurement">Has the clusters.</param>
/// <param name="setup">The programs.</param>
/// <param name="proxy">Our proxy.</param>
/// <param name="progress">Where each run is told.</param>
internal sealed class SessionRuns(Measurement measurement, Setup setup, string proxy, TextWriter progress)
{
    private const int Writers = 8, WritesBefore = 100, WritesAfter = 50;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    /// <summary>What was seen, in the order of the runs.</summary>
    public List<SessionRun> Runs { get; } = [];

    /// <summary>One run. A failure is noted.</summary>
    public async Task RunAsync(Event what, FrontKind kind, Contender contender, CancellationToken cancellationToken)
    {
        try
        {
            Runs.Add(await MeasureAsync(what, kind, contender, cancellationToken));
            var run = Runs[^1];
            await progress.WriteLineAsync(
                $"{what.Name}, {kind.Title}, {contender.Times}: {run.Errors} errors, "
                + $"longest pause {run.Pauses.Max().TotalSeconds:0.000} s, sessions alive "
                + string.Join(", ", run.Alive.Select(one => $"{one.Value} of {one.Key.Count} {one.Key.Name}")));
        }
        catch (Exception failed) when (!cancellationToken.IsCancellationRequested)
        {
            await measurement.NoteFailureAsync($"{what.Name}, {kind.Title}, {contender.Times}", failed, contender);
        }
    }

    private async Task<SessionRun> MeasureAsync(
        Event what, FrontKind kind, Contender contender, CancellationToken cancellationToken)
    {
        var cluster = await measurement.ClusterOfAsync(contender, cancellationToken);
        var primary = await cluster.BecomeWholeAsync(cancellationToken);
        await using IFront front = kind.PoolMode is { } mode
            ? PgBouncer.Start(cluster, primary, mode, setup.Postgres)
            : Router.Start(cluster, proxy);
        await front.BecomeReadyAsync(cancellationToken);
        var sessions = new Dictionary<SessionGroup, IReadOnlyList<NpgsqlConnection>>();
        var writers = new List<Writer>();
        try
        {
            // A pool of transactions is no place for what a session holds.
            foreach (var group in SessionGroup.All.Where(
                one => kind.PoolMode != "transaction" || one.Prepare.Count == 0))
            {
                sessions[group] = await group.OpenAsync(front.Way, cancellationToken);
            }
            writers.AddRange(Enumerable.Range(0, Writers).Select(_ => new Writer([front.Way])));
            await WaitUntil.TrueAsync(
                () => writers.All(one => one.Count > WritesBefore), s_patience, "all writers write");
            var errors = writers.Sum(one => one.Errors);
            var moment = Stopwatch.GetTimestamp();

            await (what.Name == Event.Switchover ? front.SwitchOverAsync(primary) : what.HappenAsync(cluster, primary));
            if (what.EndsAgent)
            {
                await primary.WaitForEndAsync(cancellationToken);
                await WaitUntil.TrueAsync(
                    async () => await cluster.PrimaryAsync(cancellationToken) is { } other && other != primary,
                    s_patience, "another member leads");
                primary.StartAgent();
            }
            var successor = await cluster.BecomeWholeAsync(cancellationToken);
            var counts = writers.Select(one => one.Count).ToList();
            await WaitUntil.TrueAsync(
                () => writers.Zip(counts).All(one => one.First.Count > one.Second + WritesAfter), s_patience,
                "all writers write to the whole cluster");
            var words = new List<string>();
            var alive = new Dictionary<SessionGroup, int>();
            foreach (var (group, open) in sessions)
            {
                alive[group] = await group.CountAliveAsync(open, words, cancellationToken);
            }
            await Task.WhenAll(writers.Select(one => one.StopAsync()));
            var missing = 0;
            foreach (var writer in writers)
            {
                missing += await writer.MissingAsync(successor, cancellationToken);
            }
            return new SessionRun(
                what, kind, contender, writers.Sum(one => one.Errors) - errors, missing,
                [.. writers.Select(one => one.LongestPauseSince(moment))], alive, words,
                await front.CountsAsync(cancellationToken));
        }
        finally
        {
            foreach (var writer in writers)
            {
                await writer.DisposeAsync();
            }
            await SessionGroup.CloseAsync(sessions.Values.SelectMany(one => one));
        }
    }
}
