using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>A client that is a program: it runs until it is told to stop, and then says what it did.</summary>
internal abstract class ProgramClient(string name, string table) : DrillClient(name, table)
{
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan s_toEnd = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(0.2);

    /// <summary>The program and its arguments.</summary>
    protected abstract IReadOnlyList<string> Command(DrillPlace place);

    /// <summary>Tells it that it has been enough.</summary>
    protected abstract void Stop(OrdinaryProcess process, DrillPlace place);

    /// <summary>Whether something went wrong although the program runs on, by its output so far.</summary>
    protected virtual bool HasFailed(string output) => false;

    /// <summary>Reads what it did from its output.</summary>
    protected abstract void Read(string output, DrillPlace place);

    public override async Task RunAsync(DrillPlace place, CancellationToken enough)
    {
        var log = place.Directory[$"{Table}.log"];
        using var process = OrdinaryProcess.Start(log, place.Directory.Path, [.. Command(place)]);
        try
        {
            var ending = process.WaitForExitAsync(s_longest);
            while (!process.HasExited && !enough.IsCancellationRequested
                && !(File.Exists(log) && HasFailed(await File.ReadAllTextAsync(log, CancellationToken.None))))
            {
                await Task.WhenAny(ending, Task.Delay(s_look, enough));
            }
            var hasStopped = enough.IsCancellationRequested;
            if (!process.HasExited)
            {
                Stop(process, place);
            }
            var code = await ending.WaitAsync(s_toEnd, CancellationToken.None);
            var output = await File.ReadAllTextAsync(log, CancellationToken.None);
            if (code != 0 || !hasStopped)
            {
                throw new InvalidOperationException($"{Name} ended with {code}:\n{output}");
            }
            Read(output, place);
        }
        catch (TimeoutException hung)
        {
            throw new TimeoutException(
                $"{Name} hangs:\n{await File.ReadAllTextAsync(log, CancellationToken.None)}", hung);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Send(ProcessSignal.Kill);
            }
        }
    }
}
