using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Members;

/// <summary>
/// Addresses of members' names, looked up beside the connect path: a resolver can block for half a minute.
/// </summary>
/// <param name="changed">Called when a name has got addresses, or others.</param>
/// <param name="time">For how old an answer is.</param>
/// <param name="logger">For names that can't be resolved.</param>
internal sealed partial class NameCache(Action changed, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan s_lifetime = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// The addresses of a name, in the order in which they are to be tried; none while they are not known yet. Never
    /// blocks.
    /// </summary>
    public ImmutableArray<IPAddress> Find(string host)
    {
        if (IPAddress.TryParse(host, out var address))
        {
            return [address];
        }
        var entry = _entries.GetOrAdd(host, static _ => new Entry());
        if (entry.IsStale(time, s_lifetime) && entry.TryBegin())
        {
            _ = ResolveAsync(host, entry);
        }
        return entry.Addresses;
    }

    private async Task ResolveAsync(string host, Entry entry)
    {
        ImmutableArray<IPAddress> found = [];
        try
        {
            found = Interleave(await Dns.GetHostAddressesAsync(host));
        }
        catch (Exception problem) when (problem is SocketException or ArgumentException)
        {
            LogUnresolved(host, problem.Message);   // what was known before stays in use
        }
        var before = entry.Addresses;
        // A resolver that answers with the same addresses in turns has no news.
        var isNews = !found.IsEmpty && !found.ToHashSet().SetEquals(before);
        entry.End(isNews ? found : before, time.GetTimestamp());
        if (isNews)
        {
            changed();
        }
    }

    /// <summary>
    /// The resolver's order, with the two families by turns, so that one that is unreachable costs one head start (RFC
    /// 8305).
    /// </summary>
    internal static ImmutableArray<IPAddress> Interleave(IReadOnlyList<IPAddress> addresses)
    {
        var first = addresses.Where(one => one.AddressFamily == addresses[0].AddressFamily).ToList();
        var others = addresses.Where(one => one.AddressFamily != addresses[0].AddressFamily).ToList();
        return
        [
            .. first.Zip(others, static (one, other) => new[] { one, other }).SelectMany(static pair => pair),
            .. first.Skip(others.Count), .. others.Skip(first.Count),
        ];
    }

    [LoggerMessage(
        EventId = 6201, Level = LogLevel.Warning, Message = "The name {Host} of a member can't be resolved: {Problem}")]
    private partial void LogUnresolved(string host, string problem);

    private sealed class Entry
    {
        private long _at;
        private int _isRunning;

        private IPAddress[] _addresses = [];

        public ImmutableArray<IPAddress> Addresses =>
            ImmutableCollectionsMarshal.AsImmutableArray(Volatile.Read(ref _addresses));

        public bool IsStale(TimeProvider time, TimeSpan lifetime) =>
            Volatile.Read(ref _at) == 0 || time.GetElapsedTime(Volatile.Read(ref _at)) > lifetime;

        public bool TryBegin() => Interlocked.Exchange(ref _isRunning, 1) == 0;

        public void End(ImmutableArray<IPAddress> addresses, long now)
        {
            Volatile.Write(ref _addresses, ImmutableCollectionsMarshal.AsArray(addresses)!);
            Volatile.Write(ref _at, now);
            Volatile.Write(ref _isRunning, 0);
        }
    }
}
