using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Host;

/// <summary>
/// Talks with systemd: tells it how far the service is (sd_notify), and takes the sockets that it opened
/// (sd_listen_fds).
/// </summary>
/// <remarks>
/// Without systemd all of it does nothing. Facts: the manual pages sd_notify(3) and sd_listen_fds(3).
/// </remarks>
internal sealed partial class ServiceManager
{
    private const int FirstDescriptor = 3;

    // A manager that does not read must hold up neither a reload nor the end.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly string? _address = Environment.GetEnvironmentVariable("NOTIFY_SOCKET");
    private readonly ILogger _logger;

    public ServiceManager(ILogger logger)
    {
        _logger = logger;
        var pid = Environment.GetEnvironmentVariable("WATCHDOG_PID");
        if (long.TryParse(Environment.GetEnvironmentVariable("WATCHDOG_USEC"), NumberStyles.None,
            CultureInfo.InvariantCulture, out var micros)
            && (string.IsNullOrEmpty(pid) || pid == Environment.ProcessId.ToString(CultureInfo.InvariantCulture))
            && micros > 0)
        {
            WatchdogInterval = TimeSpan.FromMicroseconds(micros) / 2;
        }
    }

    /// <summary>None was opened.</summary>
    public static IReadOnlyDictionary<string, Socket> NoSockets { get; } = new Dictionary<string, Socket>();

    /// <summary>How often a sign of life is wanted; null: never.</summary>
    public TimeSpan? WatchdogInterval { get; }

    /// <summary>Says something, such as <c>READY=1</c>. Never throws.</summary>
    public void Notify(string state)
    {
        if (string.IsNullOrEmpty(_address))
        {
            return;
        }
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram,
                ProtocolType.Unspecified) { SendTimeout = (int)s_patience.TotalMilliseconds };
            var path = _address[0] == '@' ? "\0" + _address[1..] : _address;
            socket.SendTo(Encoding.UTF8.GetBytes(state), new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException problem)
        {
            LogNotTold(problem.Message);
        }
    }

    /// <summary>The sockets that were opened for us; taken once.</summary>
    /// <param name="names">The listeners' names in their order.</param>
    /// <returns>
    /// By listener: those that bear a listener's name are its own, the others go in order to the listeners that are
    /// left.
    /// </returns>
    public Dictionary<string, Socket> TakeSockets(IReadOnlyList<string> names)
    {
        var sockets = new Dictionary<string, Socket>(StringComparer.Ordinal);
        if (Environment.GetEnvironmentVariable("LISTEN_PID")
            != Environment.ProcessId.ToString(CultureInfo.InvariantCulture)
            || !int.TryParse(Environment.GetEnvironmentVariable("LISTEN_FDS"), NumberStyles.None,
                CultureInfo.InvariantCulture, out var count))
        {
            return sockets;
        }
        Environment.SetEnvironmentVariable("LISTEN_PID", null);
        var labels = (Environment.GetEnvironmentVariable("LISTEN_FDNAMES") ?? "").Split(':');
        var nameless = new List<int>();
        for (var at = 0; at < count; at++)
        {
            var descriptor = FirstDescriptor + at;
            if (at >= labels.Length || !names.Contains(labels[at]) || !sockets.TryAdd(labels[at], Take(descriptor)))
            {
                nameless.Add(descriptor);
            }
        }
        var left = names.Where(name => !sockets.ContainsKey(name)).ToList();
        foreach (var (name, descriptor) in left.Zip(nameless))
        {
            sockets.Add(name, Take(descriptor));
        }
        if (nameless.Count > left.Count)
        {
            LogUnused(nameless.Count - left.Count);
        }
        return sockets;
    }

    private static Socket Take(int descriptor) => new(new SafeSocketHandle(descriptor, ownsHandle: true));

    [LoggerMessage(
        EventId = 6410, Level = LogLevel.Warning, Message = "The service manager could not be told: {Problem}")]
    private partial void LogNotTold(string problem);

    [LoggerMessage(EventId = 6414, Level = LogLevel.Warning,
        Message = "The service manager has opened {Count} sockets more than there are listeners: nobody accepts there")]
    private partial void LogUnused(int count);
}
