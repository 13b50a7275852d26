using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Routing.Load;
using Routing.TestKit;

Options options;
try
{
    if (args.Contains("--help"))
    {
        Console.WriteLine(Options.Usage);
        return 0;
    }
    options = Options.Parse(args);
}
catch (FormatException problem)
{
    Console.Error.WriteLine($"{problem.Message}\n{Options.Usage}");
    return 2;
}

// A folder that PostgreSQL's user can read: the program may lie where it may not look.
using var programs = new TempDirectory("load-programs");
OrdinaryProcess.GiveAway(programs.Path);
File.SetUnixFileMode(programs.Path, (UnixFileMode)0b111_101_101);
options = options with { Proxy = Readable(options.Proxy, "routing-proxy"),
    Before = options.Before is { } other ? Readable(other, "routing-proxy-before") : null };
var report = new StringBuilder();
Say(string.Create(CultureInfo.InvariantCulture, $"""
    # The proxy beside its peers

    - Machine: {Environment.ProcessorCount} cores, client, server and proxy share them; {File.ReadAllText("/proc/version").Split(' ')[2]}
    - Load when started (1 min): {File.ReadAllText("/proc/loadavg").Split(' ')[0]}
    - {options.Runs} rounds of {options.Seconds} s, alternating; medians. CPU is that of the process between client and server.
    - Ratios are to HAProxy's best variant of the same round; half of the rounds lie between the two in brackets.

    """));
var interrupted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
await using var stage = await Stage.StartAsync(options);
var running = RunAsync();
// What is measured when somebody has had enough is left to itself; the stage takes the servers away from under it.
await await Task.WhenAny(running, interrupted.Task);
if (running.IsCompleted && options.Out is { } file)
{
    await File.WriteAllTextAsync(file, report.ToString());
}
return running.IsCompleted ? 0 : 1;

async Task RunAsync()
{
    var loaded = new LoadRun(options, stage);
    foreach (var part in options.Parts)
    {
        Say(part switch
        {
            "simple" or "prepared" => await loaded.PgbenchAsync(part),
            "connect" => await loaded.ConnectAsync(),
            "bulk" => await loaded.BulkAsync(),
            "idle" => await loaded.IdleAsync(),
            "move" => await new MoveRun(options, stage).RunAsync(),
            "driver" => await new DriverRun(options, stage).RunAsync(),
            _ => await loaded.SwitchAsync(),
        });
    }
}

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    interrupted.TrySetResult();
}

string Readable(string file, string name)
{
    File.Copy(file, programs[name]);
    return programs[name];
}

void Say(string text)
{
    Console.WriteLine(text);
    report.AppendLine(text);
}
