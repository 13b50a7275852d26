using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Routing.Hosting.Service;
using Routing.Settings;

namespace Routing.Proxy.Host;

/// <summary>Starts the program anew, to take over from this process: after an upgrade it is another release.</summary>
/// <param name="path">The configuration; null: the variables alone.</param>
/// <param name="environment">What was taken out of this process's environment.</param>
/// <param name="service">Likewise.</param>
/// <param name="logger">Told how it goes.</param>
internal sealed partial class Successor(
    string? path, SettingsEnvironment environment, ServiceNotifier service, ILogger logger)
{
    // Asked now: once the file has been replaced, the kernel knows this program as a deleted one.
    private readonly string _program = Environment.ProcessPath ?? "routing-proxy";
    private readonly string[] _first = FirstArguments();
    private int _isRunning;

    /// <summary>Starts it, unless one is running. Never throws.</summary>
    public void Start()
    {
        if (Interlocked.Exchange(ref _isRunning, 1) != 0)
        {
            LogRuns();
            return;
        }
        var start = new ProcessStartInfo(_program) { UseShellExecute = false };
        foreach (var argument in (string[])[.. _first, .. path is null ? [] : new[] { path }, CommandLine.TakeOver])
        {
            start.ArgumentList.Add(argument);
        }
        foreach (var (name, value) in environment.Values)
        {
            start.Environment[environment.Prefix + name] = value;
        }
        service.Equip(start.Environment);
        try
        {
            var process = Process.Start(start)!;
            LogStarted(process.Id, _program);
            _ = WatchAsync(process);
        }
        catch (Exception problem) when (problem is Win32Exception or InvalidOperationException)
        {
            LogNotStarted(_program, problem.Message);
            Volatile.Write(ref _isRunning, 0);
        }
    }

    // Run by the runtime's own program, the library is its first argument.
    private static string[] FirstArguments() =>
        Environment.GetCommandLineArgs() is [var program, ..] && program.EndsWith(".dll", StringComparison.Ordinal)
            && Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
            ? [program]
            : [];

    private async Task WatchAsync(Process process)
    {
        using (process)
        {
            await process.WaitForExitAsync();
            LogEnded(process.Id, process.ExitCode);
        }
        Volatile.Write(ref _isRunning, 0);
    }

    [LoggerMessage(EventId = 6427, Level = LogLevel.Information,
        Message = "Told to start the program anew: process {Process} of {Program} takes over")]
    private partial void LogStarted(int process, string program);

    [LoggerMessage(EventId = 6428, Level = LogLevel.Error,
        Message = "Told to start the program anew, and {Program} can't be started: {Problem}")]
    private partial void LogNotStarted(string program, string problem);

    [LoggerMessage(EventId = 6429, Level = LogLevel.Warning,
        Message = "The process {Process}, which was started to take over, has ended with {Code}")]
    private partial void LogEnded(int process, int code);

    [LoggerMessage(EventId = 6430, Level = LogLevel.Warning,
        Message = "Told to start the program anew, while a process that was started so is running")]
    private partial void LogRuns();
}
