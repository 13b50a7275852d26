using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Routing.TestKit;

/// <summary>
/// Cuts sockets off as a pulled cable does: every packet between them and 127.0.0.1 is dropped, with no acknowledgement
/// and no reset.
/// </summary>
/// <remarks>
/// A socket that has a key for signed segments (<c>TCP_MD5SIG</c>, RFC 2385) drops what is not signed ahead of
/// everything else, also when it listens, and what it sends itself is dropped by a peer that knows no key. That takes
/// no firewall and no privileges. Sockets of other processes are reached through <c>pidfd_getfd</c>, which takes the
/// same user.
/// </remarks>
public sealed class BlackHole : IDisposable
{
    private const int SolSocket = 1, SoProtocol = 38, SoDomain = 39;
    private const int Inet = 2, Inet6 = 10, Tcp = 6, TcpMd5Signature = 14;
    private const int SignatureBytes = 216, KeyLengthAt = 130, KeyAt = 136;
    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(30);
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
        return hole._held.Count > 0 ? hole
            : throw new InvalidOperationException("These processes have no TCP sockets.");
    }

    /// <summary>Cuts off a socket of this process, for good.</summary>
    public static void Swallow(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        SetKey((int)socket.Handle, 8);
    }

    /// <summary>The cable is back.</summary>
    public void Dispose()
    {
        foreach (var socket in _held)
        {
            SetKey(socket, 0);
            _ = close(socket);
        }
        _held.Clear();
    }

    private void Add(int pid)
    {
        if (Unless(NoSuchProcess, syscall(PidFdOpen, pid, 0, 0), $"pidfd_open of process {pid}") is not { } process)
        {
            return;
        }
        try
        {
            foreach (var number in SocketsOf(pid))
            {
                if (Unless(BadDescriptor, syscall(PidFdGetFd, process, number, 0),
                    $"pidfd_getfd of process {pid}") is not { } socket)
                {
                    continue;
                }
                if (Option(socket, SoDomain) is Inet or Inet6 && Option(socket, SoProtocol) == Tcp)
                {
                    SetKey(socket, 8);
                    _held.Add(socket);
                }
                else
                {
                    _ = close(socket);
                }
            }
        }
        finally
        {
            _ = close(process);
        }
    }

    /// <summary>Demands signatures from 127.0.0.1, or with length 0 no longer.</summary>
    private static void SetKey(int socket, int length)
    {
        // struct tcp_md5sig: the peer's address (128 bytes), flags, prefix, the key's length, an interface, the key (80
        // bytes).
        var signature = new byte[SignatureBytes];
        var family = Option(socket, SoDomain);
        MemoryMarshal.Write(signature, (ushort)family);
        byte[] peer = family == Inet ? [127, 0, 0, 1] : [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 127, 0, 0, 1];
        peer.CopyTo(signature, family == Inet ? 4 : 8);
        MemoryMarshal.Write(signature.AsSpan(KeyLengthAt), (ushort)length);
        signature.AsSpan(KeyAt, length).Fill((byte)'k');
        if (setsockopt(socket, Tcp, TcpMd5Signature, signature, signature.Length) != 0 && length > 0)
        {
            throw new InvalidOperationException($"TCP_MD5SIG: error {Marshal.GetLastPInvokeError()}.");
        }
    }

    private static int Option(int socket, int option)
    {
        var (value, length) = (0, sizeof(int));
        Demand(getsockopt(socket, SolSocket, option, ref value, ref length), "getsockopt");
        return value;
    }

    /// <summary>The numbers of its sockets; none when it has just ended.</summary>
    private static List<int> SocketsOf(int pid)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                return [.. Directory.EnumerateFiles($"/proc/{pid}/fd").Where(IsSocket)
                    .Select(entry => int.Parse(Path.GetFileName(entry), null))];
            }
            catch (Exception) when (!OrdinaryProcess.IsAlive(pid))
            {
                return [];
            }
            catch (UnauthorizedAccessException) when (Stopwatch.GetElapsedTime(began) < s_endLimit)
            {
                // It ends just now: without memory of its own it is root's until it is gone.
                Thread.Sleep(1);
            }
        }
    }

    private static bool IsSocket(string entry)
    {
        try
        {
            return new FileInfo(entry).LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) == true;
        }
        catch (IOException)
        {
            return false;   // it was closed just now
        }
    }

    private static int Demand(long result, string what) =>
        result >= 0
            ? (int)result
            : throw new InvalidOperationException($"{what}: error {Marshal.GetLastPInvokeError()}.");

    /// <summary>Null: what was asked for is gone.</summary>
    private static int? Unless(int gone, long result, string what) =>
        result < 0 && Marshal.GetLastPInvokeError() is var error && (error == gone || error == NoSuchProcess)
            ? null
            : Demand(result, what);

    // The same numbers on all architectures.
    private const long PidFdOpen = 434, PidFdGetFd = 438;
    private const int NoSuchProcess = 3, BadDescriptor = 9;

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern long syscall(long number, long first, long second, long third);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int setsockopt(int socket, int level, int option, byte[] value, int length);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int getsockopt(int socket, int level, int option, ref int value, ref int length);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int close(int socket);
}
