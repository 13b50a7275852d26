using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Routing.TestKit;

/// <summary>A signal, by its number on Linux.</summary>
public enum ProcessSignal
{
    Hangup = 1,
    Quit = 3,
    Kill = 9,
    User2 = 12,
    Alarm = 14,
    Terminate = 15,
    Continue = 18,
    Stop = 19,
}

/// <summary>A program that runs as PostgreSQL's user when the tests are root, and as ourselves otherwise.</summary>
public sealed class OrdinaryProcess : IDisposable
{
    private static readonly bool s_isRoot = Environment.IsPrivilegedProcess;
    private readonly Process _process;

    /// <summary>
    /// The words before a command that take privileges away from it: those of root, or those that hold in our
    /// namespaces.
    /// </summary>
    private static string[] Ordinarily =>
        s_isRoot ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        : NamespaceLab.IsInside ? ["setpriv", "--inh-caps=-all", "--ambient-caps=-all"]
        : [];

    private OrdinaryProcess(Process process) => (_process, Id) = (process, process.Id);

    /// <summary>The process.</summary>
    public int Id { get; }

    /// <summary>Whether it is over.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>Starts a program.</summary>
    /// <param name="log">Where its output goes, appended.</param>
    /// <param name="home">Its home and working directory.</param>
    /// <param name="command">The program and its arguments.</param>
    public static OrdinaryProcess Start(string log, string home, params string[] command) =>
        Start(TestMachine.This, log, home, command);

    /// <summary>Starts a program on a machine of a network.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="log">Where its output goes, appended.</param>
    /// <param name="home">Its home and working directory.</param>
    /// <param name="command">The program and its arguments.</param>
    public static OrdinaryProcess Start(TestMachine machine, string log, string home, params string[] command)
    {
        ArgumentNullException.ThrowIfNull(machine);
        // The shell only points the output to the log and becomes the program: the process id stays.
        var start = new ProcessStartInfo("/bin/sh")
        {
            UseShellExecute = false,
            WorkingDirectory = home,
            ArgumentList = { "-c", "exec \"$@\" >>\"$0\" 2>&1 </dev/null", log },
        };
        foreach (var word in (string[])[.. machine.Entrance, .. Ordinarily, .. command])
        {
            start.ArgumentList.Add(word);
        }
        // A test decides alone, not the variables around it.
        foreach (var name in start.Environment.Keys.Where(IsDisturbing).ToList())
        {
            start.Environment.Remove(name);
        }
        start.Environment["HOME"] = home;
        start.Environment["DOTNET_TieredPGO"] = "0";
        return new OrdinaryProcess(
            Process.Start(start) ?? throw new InvalidOperationException($"{command[0]} was not started."));
    }

    /// <summary>Gives a directory to the user of the programs.</summary>
    public static void GiveAway(string directory)
    {
        if (!s_isRoot)
        {
            return;
        }
        using var chown = Process.Start("chown", ["postgres:", directory]);
        chown.WaitForExit();
        if (chown.ExitCode != 0)
        {
            throw new InvalidOperationException($"chown {directory}: exit code {chown.ExitCode}.");
        }
    }

    /// <summary>Sends it a signal.</summary>
    public void Send(ProcessSignal signal) => Send(Id, signal);

    /// <summary>Waits for its end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> WaitForExitAsync(TimeSpan limit)
    {
        using var patience = new CancellationTokenSource(limit);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"Process {Id} runs after {limit.TotalSeconds:0.#} s.");
        }
        return _process.ExitCode;
    }

    /// <inheritdoc/>
    public void Dispose() => _process.Dispose();

    /// <summary>Kills it where it still runs, waits for its end, and disposes of it.</summary>
    /// <exception cref="TimeoutException">It has not ended within the limit.</exception>
    public async Task KillAsync(TimeSpan limit)
    {
        if (!HasExited)
        {
            Send(ProcessSignal.Kill);
        }
        await WaitForExitAsync(limit);
        Dispose();
    }

    /// <summary>Sends a signal to a process of ours that need not be our child. False: it is gone.</summary>
    public static bool Send(int pid, ProcessSignal signal)
    {
        if (pid <= 1)
        {
            throw new ArgumentOutOfRangeException(nameof(pid), pid, "This is no process of a test.");
        }
        if (kill(pid, (int)signal) == 0)
        {
            return true;
        }
        const int noSuchProcess = 3;
        return Marshal.GetLastPInvokeError() == noSuchProcess
            ? false
            : throw new InvalidOperationException($"Signal {signal} to {pid}: error {Marshal.GetLastPInvokeError()}.");
    }

    /// <summary>The processes whose command line contains a word, with their command lines.</summary>
    public static IReadOnlyList<(int Id, string Command)> Find(string word) =>
        [.. All().Where(process => process.Command.Contains(word, StringComparison.Ordinal))];

    /// <summary>
    /// The processes whose command line contains a word, or that work in a directory or below it. Zombies are none.
    /// </summary>
    public static IReadOnlyList<int> Find(string word, string directory) =>
        [.. All()
            .Where(
                process => process.Command.Contains(word, StringComparison.Ordinal)
                    || IsAtOrBelow(DirectoryOf(process.Id), directory))
            .Select(process => process.Id)];

    /// <summary>The children of a process.</summary>
    public static IReadOnlyList<int> ChildrenOf(int pid)
    {
        try
        {
            return [.. Directory.EnumerateDirectories($"/proc/{pid}/task")
                .SelectMany(
                    thread => File.ReadAllText(Path.Combine(thread, "children"))
                        .Split(' ', StringSplitOptions.RemoveEmptyEntries))
                .Select(text => int.Parse(text, null))];
        }
        catch (IOException)
        {
            return [];   // it has just ended
        }
    }

    /// <summary>
    /// The process that holds the end of a connection which has this local port on 127.0.0.1; null when it is gone.
    /// </summary>
    public static int? OwnerOf(int port)
    {
        // "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …", addresses in hexadecimal; a
        // socket of both families is among those of IPv6.
        var local = $"0100007F:{port:X4}";
        var inode = File.ReadLines("/proc/net/tcp").Concat(File.ReadLines("/proc/net/tcp6"))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(words => words[1].EndsWith(local, StringComparison.Ordinal)).Select(words => words[9])
                .FirstOrDefault();
        return inode is null or "0" ? null
            : All().Select(process => (int?)process.Id).FirstOrDefault(pid => Holds(pid!.Value, $"socket:[{inode}]"));
    }

    /// <summary>A process's parent; null when it is gone.</summary>
    public static int? ParentOf(int pid)
    {
        try
        {
            // "pid (name) state parent …"
            return int.Parse(File.ReadAllText($"/proc/{pid}/stat").Split(") ")[^1].Split(' ')[1], null);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>A variable of the environment that a process was started with; null when it has none.</summary>
    public static string? VariableOf(int pid, string name)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/environ").Split('\0')
                .FirstOrDefault(
                    variable => variable.StartsWith($"{name}=", StringComparison.Ordinal))?[(name.Length + 1)..];
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Whether a process runs (or is frozen); a zombie does not.</summary>
    public static bool IsAlive(int pid)
    {
        try
        {
            // "pid (name) state …"
            return File.ReadAllText($"/proc/{pid}/stat").Split(") ")[^1][0] is not ('Z' or 'X');
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>A process's command line, its words parted by spaces; empty when it is gone.</summary>
    public static string CommandOf(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Replace('\0', ' ');
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    /// <summary>Where a process works; empty when it is gone or nobody's business.</summary>
    private static string DirectoryOf(int pid)
    {
        try
        {
            return new FileInfo($"/proc/{pid}/cwd").LinkTarget ?? "";
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static bool Holds(int pid, string target)
    {
        try
        {
            return Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd")
                .Any(entry => new FileInfo(entry).LinkTarget == target);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static bool IsAtOrBelow(string path, string directory) =>
        path.StartsWith(directory, StringComparison.Ordinal)
            && (path.Length == directory.Length || path[directory.Length] is '/' or ' ');

    private static bool IsDisturbing(string name) =>
        name.StartsWith("PATRONI_", StringComparison.Ordinal) || name.StartsWith("PG", StringComparison.Ordinal)
        || name.StartsWith("ETCD", StringComparison.Ordinal);

    private static IEnumerable<(int Id, string Command)> All()
    {
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), out var pid))
            {
                continue;
            }
            yield return (pid, CommandOf(pid));
        }
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int kill(int pid, int signal);
}
