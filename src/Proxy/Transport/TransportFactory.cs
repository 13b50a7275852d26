using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Routing.Proxy.Transport.Epoll;
using Routing.Proxy.Transport.Portable;

namespace Routing.Proxy.Transport;

/// <summary>Makes the transport that a setting asks for.</summary>
internal static class TransportFactory
{
    /// <summary>The names that the setting may have.</summary>
    public static readonly string[] Names = ["auto", "epoll", "portable"];

    /// <summary>Loops when nothing is said: one for each processor, four at most.</summary>
    public static int DefaultLoops => Math.Clamp(Environment.ProcessorCount, 1, 4);

    /// <summary>Makes it.</summary>
    /// <param name="name">One of <see cref="Names"/>; <c>auto</c> is epoll where the kernel gives it, else portable.</param>
    /// <param name="loops">Event loops; 0: <see cref="DefaultLoops"/>.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">For the transport's messages.</param>
    /// <param name="fallback">Why it is not the one that was asked for; null: it is.</param>
    public static ITransport Create(string name, int loops, TimeProvider time, ILogger logger, out string? fallback)
    {
        fallback = null;
        if (name != "portable")
        {
            try
            {
                return new EpollTransport(loops > 0 ? loops : DefaultLoops, time, logger);
            }
            catch (SocketException refusal)
            {
                fallback = $"the kernel gives no epoll set ({refusal.Message}); the portable transport is used";
            }
        }
        return new PortableTransport(time, logger);
    }
}
