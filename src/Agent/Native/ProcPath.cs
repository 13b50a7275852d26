using System.Buffers.Text;

namespace Routing.Agent.Native;

/// <summary>Paths below /proc as the system calls want them, without allocating.</summary>
internal static unsafe class ProcPath
{
    /// <summary>
    /// Writes "/proc/PID" + <paramref name="rest"/> + a zero byte; needs 16 bytes more than the rest.
    /// </summary>
    public static void Write(byte* destination, int pid, ReadOnlySpan<byte> rest)
    {
        "/proc/"u8.CopyTo(new Span<byte>(destination, 6));
        _ = Utf8Formatter.TryFormat(pid, new Span<byte>(destination + 6, 10), out var written);
        rest.CopyTo(new Span<byte>(destination + 6 + written, rest.Length));
        destination[6 + written + rest.Length] = 0;
    }
}
