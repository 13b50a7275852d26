using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Routing.Failover;
using Routing.TestKit;

[assembly: SupportedOSPlatform("linux")]

if (args is ["--help" or "-h"])
{
    Console.WriteLine(Options.Usage);
    return 0;
}

Options options;
try
{
    options = Options.Parse(args);
}
catch (FormatException wrong)
{
    Console.Error.WriteLine($"{wrong.Message}\n\n{Options.Usage}");
    return 2;
}

using var stop = new CancellationTokenSource();
using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
var started = Stopwatch.GetTimestamp();

var setup = await Setup.PrepareAsync(options, stop.Token);
// The file belongs to whoever started this; PostgreSQL to an ordinary user.
await using var file = options.Out is { } path ? new StreamWriter(path) : null;
List<(string Name, byte[] Content)> copies = [("routing-agent", await File.ReadAllBytesAsync(setup.Agent, stop.Token))];
if (setup.Proxy is { } ownProxy)
{
    copies.Add(("routing-proxy", await File.ReadAllBytesAsync(ownProxy, stop.Token)));
}
_ = new OrdinaryUser();
using var programs = new TempDirectory("failover-program");
foreach (var (name, content) in copies)
{
    await File.WriteAllBytesAsync(programs[name], content, stop.Token);
    File.SetUnixFileMode(programs[name], UnixFileMode.UserRead | UnixFileMode.UserExecute);
}
var agent = programs["routing-agent"];
var proxy = setup.Proxy is null ? null : programs["routing-proxy"];

await using var etcd = await EtcdServer.StartAsync();
await using var measurement = new Measurement(setup.Postgres, etcd.Endpoint, proxy, Console.Error);
var contenders = Contender.Ours(agent).Concat(options.WithEstablished ? Contender.OfDebian() : [])
    .Where(contender => options.Settings.Contains(contender.Setting))
    .ToList();
IReadOnlyList<IdleCost> idle = [];
var sessions = options.IsOfSessions ? new SessionRuns(measurement, setup, proxy!, Console.Error) : null;
try
{
    if (options.Idle)
    {
        var quiet = contenders.Where(contender => contender.Setting == options.Settings[0]);
        var clusters = new List<TestedCluster>();
        foreach (var contender in quiet)
        {
            clusters.Add(await measurement.ClusterOfAsync(contender, stop.Token));
        }
        idle = await IdleCost.MeasureAsync(clusters, options.IdleTime, stop.Token);
    }
    // Round by round, so that what disturbs the machine for a while disturbs every event and contender alike.
    for (var round = 0; options.Failover && round < options.Runs; round++)
    {
        foreach (var what in Event.All.Where(one => options.Events.Contains(one.Name)))
        {
            if (sessions is not null)
            {
                foreach (var (kind, contender) in Fronts(what)
                    .TakeWhile(_ => Stopwatch.GetElapsedTime(started) < options.Limit))
                {
                    await sessions.RunAsync(what, kind, contender, stop.Token);
                }
                continue;
            }
            foreach (var (contender, way) in contenders.SelectMany(
                contender => options.Through.Select(way => (contender, way)))
                .TakeWhile(_ => Stopwatch.GetElapsedTime(started) < options.Limit))
            {
                await measurement.RunAsync(what, contender, way == Options.Routed, stop.Token);
            }
        }
    }
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    await Console.Error.WriteLineAsync("Stopped; what was measured so far follows.");
}

var report = Report.Of(setup, measurement, idle, sessions?.Runs ?? []);
Console.Write(report);
if (file is not null)
{
    await file.WriteAsync(report);
}
return measurement.Failures.Count == 0 && !stop.IsCancellationRequested ? 0 : 1;

// A crash can't be scripted around: PgBouncer would be led to the dead primary.
IEnumerable<(FrontKind Kind, Contender Contender)> Fronts(Event what) =>
    from kind in FrontKind.All
    where options.Fronts.Contains(kind.Name) && (kind.PoolMode is null || what.Name == Event.Switchover)
    from contender in contenders
    where contender.IsOurs == kind.IsOurs
    select (kind, contender);

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}
