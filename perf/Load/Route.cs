using System.Globalization;
using Routing.TestKit;

namespace Routing.Load;

/// <summary>One way from a client to the server: a port, and the process whose cost counts.</summary>
internal sealed class Route(string name, int port, OrdinaryProcess? process) : IDisposable
{
    private bool _isDisposed;

    public string Name => name;

    public int Port => port;

    /// <summary>Processor seconds that the process has used so far; 0 without one.</summary>
    public double CpuSeconds => process is null ? 0 : ProcessorClock.Of(process.Id).TotalSeconds;

    /// <summary>Resident memory, KiB; 0 without a process.</summary>
    public long ResidentKiB => process is null ? 0 : long.Parse(
        File.ReadLines($"/proc/{process.Id}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    public void Dispose()
    {
        if (process is { } running && !_isDisposed)
        {
            _isDisposed = true;
            running.Send(ProcessSignal.Terminate);
            if (!running.WaitForExitAsync(TimeSpan.FromSeconds(3))
                .ContinueWith(done => done.IsCompletedSuccessfully, TaskScheduler.Default).Result)
            {
                running.Send(ProcessSignal.Kill);
            }
            running.Dispose();
        }
    }
}
