using System.Globalization;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Host;

/// <summary>The sockets that systemd has opened for this process (sd_listen_fds(3)).</summary>
internal static partial class GivenSockets
{
    private const int FirstDescriptor = 3;

    /// <summary>None was opened.</summary>
    public static IReadOnlyDictionary<string, Socket> None { get; } = new Dictionary<string, Socket>();

    /// <summary>The sockets that were opened for us; taken once.</summary>
    /// <param name="names">The listeners' names in their order.</param>
    /// <param name="logger">Is told of sockets that no listener uses.</param>
    /// <returns>
    /// By listener: those that bear a listener's name are its own, the others go in order to the listeners that are
    /// left.
    /// </returns>
    public static Dictionary<string, Socket> Take(IReadOnlyList<string> names, ILogger logger)
    {
        var sockets = new Dictionary<string, Socket>(StringComparer.Ordinal);
        var own = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        var opened = Environment.GetEnvironmentVariable("LISTEN_FDS");
        if (Environment.GetEnvironmentVariable("LISTEN_PID") != own
            || !int.TryParse(opened, NumberStyles.None, CultureInfo.InvariantCulture, out var count))
        {
            return sockets;
        }
        Environment.SetEnvironmentVariable("LISTEN_PID", null);
        var labels = (Environment.GetEnvironmentVariable("LISTEN_FDNAMES") ?? "").Split(':');
        var nameless = new List<int>();
        for (var at = 0; at < count; at++)
        {
            var descriptor = FirstDescriptor + at;
            if (at >= labels.Length || !names.Contains(labels[at]) || !sockets.TryAdd(labels[at], Of(descriptor)))
            {
                nameless.Add(descriptor);
            }
        }
        var left = names.Where(name => !sockets.ContainsKey(name)).ToList();
        foreach (var (name, descriptor) in left.Zip(nameless))
        {
            sockets.Add(name, Of(descriptor));
        }
        if (nameless.Count > left.Count)
        {
            LogUnused(logger, nameless.Count - left.Count);
        }
        return sockets;
    }

    private static Socket Of(int descriptor) => new(new SafeSocketHandle(descriptor, ownsHandle: true));

    [LoggerMessage(EventId = 6414, Level = LogLevel.Warning,
        Message = "The service manager has opened {Count} sockets more than there are listeners: nobody accepts there")]
    private static partial void LogUnused(ILogger logger, int count);
}
