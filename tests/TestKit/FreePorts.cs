using System.Net;
using System.Net.Sockets;

namespace Routing.TestKit;

/// <summary>Hands out TCP ports of 127.0.0.1 that nothing listens on.</summary>
/// <remarks>
/// They lie below the kernel's range for outgoing connections, so that no client takes one between the question and its
/// use. Each process has a block of them for itself, by a locked file, and begins anew when all were handed out.
/// </remarks>
public static class FreePorts
{
    private const int First = 10_240;
    private const int End = 32_000;
    private const int BlockSize = 1_360;
    private static readonly Lock s_gate = new();
    private static readonly (int First, int End, FileStream? Lock) s_block = ClaimBlock();
    private static int s_next = s_block.First + Anywhere(s_block.End - s_block.First);

    /// <summary>One free port.</summary>
    public static int Take()
    {
        lock (s_gate)
        {
            for (var tried = s_block.First; tried < s_block.End; tried++)
            {
                var port = s_next;
                s_next = s_next + 1 < s_block.End ? s_next + 1 : s_block.First;
                if (IsFree(port))
                {
                    return port;
                }
            }
        }
        throw new InvalidOperationException($"No free TCP port between {s_block.First} and {s_block.End}.");
    }

    /// <summary>Several free ports.</summary>
    public static int[] Take(int count) => [.. Enumerable.Range(0, count).Select(_ => Take())];

    /// <summary>
    /// A block that no other process has locked; all ports when there is none, or none may be locked here.
    /// </summary>
    private static (int First, int End, FileStream? Lock) ClaimBlock()
    {
        const int count = (End - First) / BlockSize;
        var start = Anywhere(count);
        for (var i = 0; i < count; i++)
        {
            var first = First + ((start + i) % count * BlockSize);
            try
            {
                var file = new FileStream(
                    Path.Combine(Path.GetTempPath(), $"routing-ports-{first}.lock"), FileMode.OpenOrCreate,
                    FileAccess.ReadWrite, FileShare.None);
                return (first, first + BlockSize, file);
            }
            catch (Exception taken) when (taken is IOException or UnauthorizedAccessException)
            {
                // another process has it
            }
        }
        return (First, End, null);
    }

    /// <summary>A number below the count, another one for each process.</summary>
    private static int Anywhere(int count) => (int)((uint)(Environment.ProcessId * 2_654_435_761L) % count);

    private static bool IsFree(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            return true;
        }
        catch (SocketException)
        {
            return false;   // taken: that is the answer
        }
    }
}
