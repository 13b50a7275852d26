using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Routes;

/// <summary>Addresses of members' names, looked up beside the connect path: a resolver can block for half a minute.</summary>
/// <param name="changed">Called when a name has got an address, or another one.</param>
/// <param name="time">For how old an answer is.</param>
/// <param name="logger">For names that can't be resolved.</param>
internal sealed partial class NameCache(Action changed, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The address of a name; null while it is not known yet. Never blocks.</summary>
    public IPAddress? Find(string host)
    {
        if (IPAddress.TryParse(host, out var address))
        {
            return address;
        }
        var entry = _entries.GetOrAdd(host, static _ => new Entry());
        if (entry.IsStale(time, Lifetime) && entry.TryBegin())
        {
            _ = ResolveAsync(host, entry);
        }
        return entry.Address;
    }

    private async Task ResolveAsync(string host, Entry entry)
    {
        IPAddress? found = null;
        try
        {
            var all = await Dns.GetHostAddressesAsync(host);
            found = all.FirstOrDefault(one => one.AddressFamily == AddressFamily.InterNetwork) ?? all.FirstOrDefault();
        }
        catch (Exception problem) when (problem is SocketException or ArgumentException)
        {
            LogUnresolved(host, problem.Message);   // what was known before stays in use
        }
        var before = entry.Address;
        entry.End(found ?? before, time.GetTimestamp());
        if (found is not null && !found.Equals(before))
        {
            changed();
        }
    }

    [LoggerMessage(EventId = 6201, Level = LogLevel.Warning, Message = "The name {Host} of a member can't be resolved: {Problem}")]
    private partial void LogUnresolved(string host, string problem);

    private sealed class Entry
    {
        private long _at;
        private int _isRunning;

        public IPAddress? Address { get; private set; }

        public bool IsStale(TimeProvider time, TimeSpan lifetime) =>
            Volatile.Read(ref _at) == 0 || time.GetElapsedTime(Volatile.Read(ref _at)) > lifetime;

        public bool TryBegin() => Interlocked.Exchange(ref _isRunning, 1) == 0;

        public void End(IPAddress? address, long now)
        {
            Address = address;
            Volatile.Write(ref _at, now);
            Volatile.Write(ref _isRunning, 0);
        }
    }
}
