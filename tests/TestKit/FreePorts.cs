using System.Net;
using System.Net.Sockets;

namespace Routing.TestKit;

/// <summary>Hands out TCP ports of 127.0.0.1 that nothing listens on.</summary>
/// <remarks>
/// They lie below the kernel's range for outgoing connections, so that no client takes one between the question and its
/// use; a port is handed out once per process, and processes start at different places.
/// </remarks>
public static class FreePorts
{
    private const int First = 10_240;
    private const int End = 32_000;
    private static readonly Lock Gate = new();
    private static int _next = First + (int)((uint)(Environment.ProcessId * 2_654_435_761L) % (End - First));

    /// <summary>One free port.</summary>
    public static int Take()
    {
        lock (Gate)
        {
            for (var tried = First; tried < End; tried++)
            {
                var port = _next;
                _next = _next + 1 < End ? _next + 1 : First;
                if (IsFree(port))
                {
                    return port;
                }
            }
        }
        throw new InvalidOperationException($"No free TCP port between {First} and {End}.");
    }

    /// <summary>Several free ports.</summary>
    public static int[] Take(int count) => [.. Enumerable.Range(0, count).Select(_ => Take())];

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
