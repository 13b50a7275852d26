using System.Globalization;
using System.Text;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Files;

namespace Routing.Agent.Postgres.Programs;

/// <summary>
/// Programs that an earlier agent started on the data directory and that outlived it: pg_rewind, pg_basebackup, initdb,
/// scripts.
/// </summary>
/// <remarks>
/// They are known by their arguments, and where those do not name the directory by a variable, which whatever they
/// start inherits. Two that write to one directory spoil it, and none of them says so.
/// </remarks>
internal static class LeftoverPrograms
{
    private const string Variable = "ROUTING_FILLS";

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(10);

    /// <summary>The command with the variable by which it is known afterwards.</summary>
    public static Command Marked(Command command, string dataDirectory) => command with
    {
        Environment = new Dictionary<string, string?>(command.Environment)
        {
            [Variable] = dataDirectory,
        },
    };

    /// <summary>Kills them and waits until they are gone. The caller runs none itself.</summary>
    /// <returns>How many there were.</returns>
    /// <exception cref="IOException">One does not end.</exception>
    public static async Task<int> EndAsync(string dataDirectory, TimeProvider time, CancellationToken cancellationToken)
    {
        var arguments = ArgumentsOf(dataDirectory);
        var ended = 0;
        foreach (var stat in Find(arguments, $"{Variable}={dataDirectory}"))
        {
            using var process = PidFd.TryOpen(stat.Pid, stat.StartTicks);
            if (process is null)
            {
                continue;
            }
            process.TrySignal(Signals.Kill);
            try
            {
                await process.Exited.WaitAsync(s_limit, time, cancellationToken);
            }
            catch (TimeoutException error)
            {
                throw new IOException(
                    $"Process {stat.Pid}, which an earlier agent started on {dataDirectory}, does not end.", error);
            }
            ended++;
        }
        return ended;
    }

    private static string[] ArgumentsOf(string dataDirectory)
    {
        var staging = new DataFilling(dataDirectory).Staging;
        return [$"--target-pgdata={dataDirectory}", $"--pgdata={staging}", $"--datadir={dataDirectory}", staging];
    }

    private static List<ProcessStat> Find(string[] arguments, string variable)
    {
        var found = new List<ProcessStat>();
        var mounts = MountsOf("self");
        foreach (var path in Directory.EnumerateDirectories("/proc"))
        {
            var name = Path.GetFileName(path);
            if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
                && pid != Environment.ProcessId
                && (WordsOf(name, "cmdline").Any(arguments.Contains) || WordsOf(name, "environ").Contains(variable))
                && MountsOf(name) == mounts
                && ProcessStat.Read(pid) is { IsAlive: true } stat)
            {
                found.Add(stat);
            }
        }
        return found;
    }

    private static string[] WordsOf(string process, string what)
    {
        try
        {
            return Encoding.UTF8.GetString(File.ReadAllBytes($"/proc/{process}/{what}")).Split('\0');
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];   // it has ended, or belongs to another user
        }
    }

    /// <summary>
    /// The mount namespace of a process, or null: one path is different directories in different namespaces.
    /// </summary>
    private static string? MountsOf(string process)
    {
        try
        {
            return File.ResolveLinkTarget($"/proc/{process}/ns/mnt", returnFinalTarget: false)?.Name;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
