using System.Net.Sockets;

namespace Routing.Proxy.Transport;

/// <summary>Tells the faults of a connection from faults of this program.</summary>
internal static class ConnectionFault
{
    /// <summary>The connection broke, ended, or was aborted while its pipes were in use.</summary>
    public static bool Is(Exception error) => error
        is IOException or SocketException or ObjectDisposedException or InvalidOperationException
            or OperationCanceledException;
}
