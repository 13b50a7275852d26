using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Routing.TestKit;

/// <summary>Cuts sockets off as a pulled cable does: every packet that comes in is dropped, with no acknowledgement and no reset.</summary>
/// <remarks>
/// A filter on the socket (<c>SO_ATTACH_FILTER</c>) that lets nothing pass does it without a firewall and without privileges: TCP asks it
/// ahead of everything else, on a listening socket too. Packets that go out still do, so whoever is cut off must have nothing to say, or be
/// frozen. Sockets of other processes are reached through <c>pidfd_getfd</c>, which takes the same user.
/// </remarks>
public sealed class BlackHole : IDisposable
{
    private const int SolSocket = 1, SoType = 3, SoAttachFilter = 26, SoDetachFilter = 27, SoDomain = 39;
    private const int Inet = 2, Inet6 = 10, Stream = 1;
    private readonly List<int> _held = [];

    private BlackHole()
    {
    }

    /// <summary>Cuts off all TCP sockets of these processes, until it is disposed of.</summary>
    /// <exception cref="InvalidOperationException">The system does not let us, or there is no such socket.</exception>
    public static BlackHole Around(params IEnumerable<int> pids)
    {
        ArgumentNullException.ThrowIfNull(pids);
        var hole = new BlackHole();
        try
        {
            foreach (var pid in pids)
            {
                hole.Add(pid);
            }
        }
        catch
        {
            hole.Dispose();
            throw;
        }
        return hole._held.Count > 0 ? hole : throw new InvalidOperationException("These processes have no TCP sockets.");
    }

    /// <summary>Cuts off a socket of this process, for good.</summary>
    public static void Swallow(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        Attach((int)socket.Handle);
    }

    /// <summary>The cable is back.</summary>
    public void Dispose()
    {
        foreach (var socket in _held)
        {
            var unused = 0;
            _ = setsockopt(socket, SolSocket, SoDetachFilter, ref unused, sizeof(int));   // fails when it was never attached
            _ = close(socket);
        }
        _held.Clear();
    }

    private void Add(int pid)
    {
        var process = Demand(syscall(PidFdOpen, pid, 0, 0), $"pidfd_open of process {pid}");
        try
        {
            foreach (var entry in Directory.EnumerateFiles($"/proc/{pid}/fd"))
            {
                if (new FileInfo(entry).LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) != true)
                {
                    continue;
                }
                var socket = Demand(syscall(PidFdGetFd, process, int.Parse(Path.GetFileName(entry), null), 0), $"pidfd_getfd of process {pid}");
                _held.Add(socket);
                if (Option(socket, SoDomain) is Inet or Inet6 && Option(socket, SoType) == Stream)
                {
                    Attach(socket);
                }
                else
                {
                    _held.Remove(socket);
                    _ = close(socket);
                }
            }
        }
        finally
        {
            _ = close(process);
        }
    }

    private static void Attach(int socket)
    {
        // One instruction: return 0, the number of bytes that may pass.
        Span<byte> instruction = stackalloc byte[8];
        instruction.Clear();
        instruction[0] = 0x06;
        var code = Marshal.AllocHGlobal(instruction.Length);
        try
        {
            Marshal.Copy(instruction.ToArray(), 0, code, instruction.Length);
            var program = new Filter { Length = 1, Code = code };
            Demand(setsockopt(socket, SolSocket, SoAttachFilter, ref program, Marshal.SizeOf<Filter>()), "SO_ATTACH_FILTER");
        }
        finally
        {
            Marshal.FreeHGlobal(code);
        }
    }

    private static int Option(int socket, int option)
    {
        var (value, length) = (0, sizeof(int));
        Demand(getsockopt(socket, SolSocket, option, ref value, ref length), "getsockopt");
        return value;
    }

    private static int Demand(long result, string what) =>
        result >= 0 ? (int)result : throw new InvalidOperationException($"{what}: error {Marshal.GetLastPInvokeError()}.");

    // The same numbers on all architectures.
    private const long PidFdOpen = 434, PidFdGetFd = 438;

    [StructLayout(LayoutKind.Sequential)]
    private struct Filter
    {
        public ushort Length;
        public nint Code;
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern long syscall(long number, long first, long second, long third);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int setsockopt(int socket, int level, int option, ref Filter value, int length);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int setsockopt(int socket, int level, int option, ref int value, int length);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int getsockopt(int socket, int level, int option, ref int value, ref int length);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int close(int socket);
}
