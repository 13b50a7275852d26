using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Routing.Proxy.Configuration;
using Routing.Proxy.Transport;
using Routing.Proxy.Transport.Loops;
using Routing.Proxy.Transport.Portable;

namespace Routing.Proxy.Host;

/// <summary>Makes the transport that a setting asks for.</summary>
internal static class TransportFactory
{
    /// <summary>
    /// Event loops by default: one for two processors, at least one, four at most. The kernel and other programs need
    /// the other processors.
    /// </summary>
    public static int DefaultLoops => Math.Clamp(Environment.ProcessorCount / 2, 1, 4);

    /// <summary>Makes the transport, or the next one that the kernel gives.</summary>
    /// <param name="name">
    /// One of <see cref="ProxySettings.Transports"/>; <c>auto</c> is the first of io_uring, epoll and portable that the
    /// kernel gives.
    /// </param>
    /// <param name="loops">Event loops; 0: <see cref="DefaultLoops"/>.</param>
    /// <param name="favor">What the loops favor.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">For the transport's messages.</param>
    /// <param name="fallback">Why it is not the one that was asked for; null: it is.</param>
    public static ITransport Create(
        string name, int loops, Favor favor, TimeProvider time, ILogger logger, out string? fallback)
    {
        fallback = null;
        var count = loops > 0 ? loops : DefaultLoops;
        if (name is "auto" or "io_uring")
        {
            try
            {
                new Uring().Dispose();   // a probe: afterwards there are threads
                return Of("io_uring", index => new UringLoop(index, favor, time, logger));
            }
            catch (SocketException refusal)
            {
                fallback =
                    $"the kernel gives no io_uring as it is needed, of 6.1 or later ({refusal.Message}); epoll is used";
            }
        }
        if (name != "portable")
        {
            try
            {
                return Of("epoll", index => new EpollLoop(index, favor, time, logger));
            }
            catch (SocketException refusal)
            {
                fallback = $"the kernel gives no epoll set ({refusal.Message}); the portable transport is used";
            }
        }
        return new PortableTransport(time, logger);

        LoopTransport Of(string kind, Func<int, EventLoop> make) =>
            new(kind, Enumerable.Range(0, count).Select(make), logger);
    }
}
