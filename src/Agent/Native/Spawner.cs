using System.Collections;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Routing.Agent.Native;

/// <summary>
/// Starts programs by posix_spawn: own session and process group, ordinary signal handling, standard input from
/// /dev/null, no other descriptor of ours. Takes less than a millisecond, and what it starts lives on when the agent
/// dies.
/// </summary>
internal static unsafe class Spawner
{
    /// <summary>
    /// Starts it and returns a hold on it. Who disposes of the hold while it runs leaves a zombie behind at its end.
    /// </summary>
    /// <exception cref="IOException">It could not be started: no such file, no permission, no memory.</exception>
    public static PidFd Start(SpawnRequest request) => Start(request, -1, -1);

    /// <summary>
    /// As above, with standard output and standard error going to these descriptors when they are not negative.
    /// </summary>
    internal static PidFd Start(SpawnRequest request, int output, int error)
    {
        using var memory = new NativeStrings();
        var actions = stackalloc byte[Libc.SpawnStructBytes];
        var attributes = stackalloc byte[Libc.SpawnStructBytes];
        _ = Libc.posix_spawn_file_actions_init(actions);
        _ = Libc.posix_spawnattr_init(attributes);
        try
        {
            RedirectStandardStreams(request, output, error, actions, memory);
            SetSignalsAndSession(request, attributes);
            var program = memory.Add(request.Program);
            var arguments = memory.AddArray([request.Program, .. request.Arguments]);
            var environment = memory.AddArray(EnvironmentFor(request.Environment));
            int pid;
            var errno = Libc.posix_spawnp(&pid, program, actions, attributes, arguments, environment);
            if (errno != 0)
            {
                throw Libc.Failure($"starting {request.Program}", errno);
            }

            // Our own child keeps its number until we collect it, so this can't hit another process.
            return PidFd.TryOpen(pid)
                ?? throw new IOException($"Process {pid} ({request.Program}) was collected by someone else.");
        }
        finally
        {
            _ = Libc.posix_spawn_file_actions_destroy(actions);
            _ = Libc.posix_spawnattr_destroy(attributes);
        }
    }

    private static void RedirectStandardStreams(
        SpawnRequest request, int output, int error, byte* actions, NativeStrings memory)
    {
        var nowhere = memory.Add("/dev/null");
        Check(Libc.posix_spawn_file_actions_addopen(actions, 0, nowhere, Libc.O_RDONLY, 0), request);
        if (output >= 0)
        {
            Check(Libc.posix_spawn_file_actions_adddup2(actions, output, 1), request);
            Check(Libc.posix_spawn_file_actions_adddup2(actions, error, 2), request);
        }
        else
        {
            var file = request.LogFile is null ? nowhere : memory.Add(request.LogFile);
            const int flags = Libc.O_WRONLY | Libc.O_CREAT | Libc.O_APPEND;
            Check(Libc.posix_spawn_file_actions_addopen(actions, 1, file, flags, Convert.ToInt32("600", 8)), request);
            Check(Libc.posix_spawn_file_actions_adddup2(actions, 1, 2), request);
        }

        try
        {
            Check(Libc.posix_spawn_file_actions_addclosefrom_np(actions, 3), request);
        }
        catch (EntryPointNotFoundException)
        {
            // glibc before 2.34. What .NET opens is closed on exec anyway; what was inherited has to be told so.
            CloseInheritedOnExec();
        }
    }

    private static void CloseInheritedOnExec()
    {
        foreach (var entry in Directory.EnumerateFileSystemEntries("/proc/self/fd"))
        {
            var name = Path.GetFileName(entry.AsSpan());
            if (int.TryParse(name, CultureInfo.InvariantCulture, out var descriptor) && descriptor > 2)
            {
                _ = Libc.fcntl(descriptor, Libc.F_SETFD, Libc.FD_CLOEXEC);   // one that is gone by now needs nothing
            }
        }
    }

    private static void SetSignalsAndSession(SpawnRequest request, byte* attributes)
    {
        var signals = stackalloc byte[Libc.SignalSetBytes];
        Check(Libc.posix_spawnattr_setflags(
            attributes, Libc.POSIX_SPAWN_SETSID | Libc.POSIX_SPAWN_SETSIGDEF | Libc.POSIX_SPAWN_SETSIGMASK), request);
        _ = Libc.sigfillset(signals);
        Check(Libc.posix_spawnattr_setsigdefault(attributes, signals), request);
        _ = Libc.sigemptyset(signals);
        foreach (var signal in request.BlockedSignals)
        {
            _ = Libc.sigaddset(signals, signal);
        }

        Check(Libc.posix_spawnattr_setsigmask(attributes, signals), request);
    }

    private static void Check(int errno, SpawnRequest request)
    {
        if (errno != 0)
        {
            throw Libc.Failure($"preparing the start of {request.Program}", errno);
        }
    }

    private static List<string> EnvironmentFor(IReadOnlyDictionary<string, string?> changes)
    {
        var result = new List<string>();
        foreach (DictionaryEntry entry in System.Environment.GetEnvironmentVariables())
        {
            if (!changes.ContainsKey((string)entry.Key))
            {
                result.Add($"{entry.Key}={entry.Value}");
            }
        }

        result.AddRange(from change in changes where change.Value is not null select $"{change.Key}={change.Value}");
        return result;
    }

    /// <summary>Zero-terminated copies of strings, freed together.</summary>
    private sealed class NativeStrings : IDisposable
    {
        private readonly List<nint> _blocks = [];

        public byte* Add(string text)
        {
            var block = Marshal.StringToCoTaskMemUTF8(text);
            _blocks.Add(block);
            return (byte*)block;
        }

        public byte** AddArray(List<string> texts)
        {
            var array = (byte**)Marshal.AllocCoTaskMem((texts.Count + 1) * sizeof(byte*));
            _blocks.Add((nint)array);
            for (var i = 0; i < texts.Count; i++)
            {
                array[i] = Add(texts[i]);
            }

            array[texts.Count] = null;
            return array;
        }

        public void Dispose() => _blocks.ForEach(Marshal.FreeCoTaskMem);
    }
}
