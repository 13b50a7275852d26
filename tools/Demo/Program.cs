using System.Runtime.InteropServices;
using Routing.Demo;
using Routing.TestKit;
using Spectre.Console;

if (DemoOptions.Parse(args) is not { } options)
{
    Console.Error.WriteLine($"Usage: {DemoOptions.Usage}");
    return 2;
}

using var stop = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal);

Console.WriteLine("Starting etcd, three agents and the proxy");
await using var cluster = await DemoCluster.StartAsync(options);
await using var observer = new Observer(cluster);
try
{
    await WaitUntil.TrueAsync(
        () => observer.Primary is not null && observer.Members.Count(member => member.IsStreaming) == 2,
        TimeSpan.FromSeconds(120), "a primary and two standbys that stream").WaitAsync(stop.Token);
    Console.WriteLine($"Running: {observer}");
    if (options.Scenario is { } scenario)
    {
        return await new Verdict(options, cluster, observer, Console.WriteLine).RunAsync(scenario)
            .WaitAsync(stop.Token);
    }
    await new LiveView(options, cluster, observer, AnsiConsole.Console).RunAsync(stop.Token);
    return 0;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    return options.Scenario is null ? 0 : 1;
}
catch (Exception problem) when (problem is TimeoutException or InvalidOperationException or HttpRequestException)
{
    Console.Error.WriteLine($"{problem.Message}\nNow: {observer}");
    foreach (var node in cluster.Nodes.Where(node => File.Exists(node.LogFile)))
    {
        Console.Error.WriteLine($"--- the end of {node.LogFile}");
        Console.Error.WriteLine(string.Join('\n', File.ReadLines(node.LogFile).TakeLast(15)));
    }
    return 1;
}
finally
{
    Console.WriteLine("Stopping");
}

void OnSignal(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}
