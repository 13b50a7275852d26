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
/// <param name="changed">
/// Called when a name has got addresses, or others; and some time after a lookup in vain: the names that are still in
/// use are to be found anew then.
/// </param>
/// <param name="time">For how old an answer is.</param>
/// <param name="logger">For names that can't be resolved.</param>
/// <param name="lookup">Asks the resolver; null: the system's.</param>
internal sealed partial class NameCache(
    Action changed, TimeProvider time, ILogger logger, Func<string, Task<IPAddress[]>>? lookup = null) : IDisposable
{
    private static readonly TimeSpan s_lifetime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_retryPause = TimeSpan.FromSeconds(1);

    private readonly Func<string, Task<IPAddress[]>> _lookup = lookup ?? Dns.GetHostAddressesAsync;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// The addresses of a name, in the order in which they are to be tried; none while they are not known yet. Never
    /// blocks.
    /// </summary>
    public ImmutableArray<IPAddress> Find(string host) => Find(host, s_lifetime);

    /// <summary>A member could not be reached under its name: the name is looked up again, but not at once.</summary>
    public void Doubt(string host) => Find(host, s_retryPause);

    /// <summary>Nothing is looked up again.</summary>
    public void Dispose() => _stop.Cancel();   // not disposed of: a lookup may still come back to it

    private ImmutableArray<IPAddress> Find(string host, TimeSpan lifetime)
    {
        if (IPAddress.TryParse(host, out var address))
        {
            return [address];
        }
        var entry = _entries.GetOrAdd(host, static _ => new Entry());
        if (entry.IsStale(time, lifetime) && entry.TryBegin())
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
            // The caller of Find may hold a lock: what follows happens outside of it.
            found = Interleave(await _lookup(host).ConfigureAwait(ConfigureAwaitOptions.ForceYielding));
            entry.Problem = null;
        }
        catch (Exception problem) when (problem is SocketException or ArgumentException)
        {
            if (entry.Problem != problem.Message)
            {
                LogUnresolved(host, problem.Message);   // what was known before stays in use
            }
            entry.Problem = problem.Message;
        }
        var before = entry.Addresses;
        // A resolver that answers with the same addresses in turns has no news.
        var isNews = !found.IsEmpty && !found.ToHashSet().SetEquals(before);
        if (found.IsEmpty)
        {
            // The lookup counts as running until then, so that only one runs at a time.
            await Task.Delay(s_retryPause, time, _stop.Token)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        entry.End(isNews ? found : before, found.IsEmpty ? 0 : time.GetTimestamp());
        // In a cluster at rest nothing else would ever ask anew for a name whose lookup failed.
        if (isNews || (found.IsEmpty && !_stop.IsCancellationRequested))
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

        /// <summary>Why the last lookup failed; null: it did not fail.</summary>
        public string? Problem { get; set; }

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
