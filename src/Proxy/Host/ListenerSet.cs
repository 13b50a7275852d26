using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions;
using Routing.Proxy.Takeover;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Host;

/// <summary>
/// The sockets that the proxy listens at, by address: a listener may get another name, and its clients notice nothing.
/// </summary>
internal sealed partial class ListenerSet(ITransport transport, SessionServer sessions, ILogger logger)
{
    private readonly ConcurrentDictionary<ListenAddress, Place> _places = [];   // the admin port reads it at any time
    private readonly Lock _gate = new();
    private bool _isStopped;   // under the gate

    /// <summary>
    /// Opens the addresses that are not open yet. They queue clients from now on, and accept them from
    /// <see cref="AdoptAsync"/> on.
    /// </summary>
    /// <param name="listeners">All that there shall be.</param>
    /// <param name="reusePort">Whether another process may listen at the same addresses.</param>
    /// <param name="given">Sockets that the service manager has opened, by the listener's name.</param>
    /// <exception cref="IOException">One can't be opened: none is.</exception>
    public IReadOnlyDictionary<ListenAddress, Socket> Open(
        IReadOnlyList<ListenerConfig> listeners, bool reusePort, IReadOnlyDictionary<string, Socket> given)
    {
        var opened = new Dictionary<ListenAddress, Socket>();
        try
        {
            foreach (var listener in listeners)
            {
                if (!_places.ContainsKey(listener.Address))
                {
                    opened.Add(listener.Address,
                        given.GetValueOrDefault(listener.Name) ?? ListenSockets.Open(listener.Address, reusePort));
                }
            }
            return opened;
        }
        catch
        {
            Close(opened);
            throw;
        }
    }

    /// <summary>Closes sockets that were opened and are not used.</summary>
    public static void Close(IReadOnlyDictionary<ListenAddress, Socket> opened)
    {
        foreach (var socket in opened.Values)
        {
            socket.Dispose();
        }
    }

    /// <summary>
    /// Accepts at what was opened, and stops listeners that are no more; their sessions live on. After
    /// <see cref="StopAsync"/> it closes what was opened.
    /// </summary>
    public async ValueTask AdoptAsync(
        IReadOnlyList<ListenerConfig> listeners, IReadOnlyDictionary<ListenAddress, Socket> opened,
        IReadOnlyDictionary<string, Socket> given)
    {
        lock (_gate)
        {
            if (_isStopped)
            {
                Close(opened);
                return;
            }
            Add(listeners, opened, given);
        }
        foreach (var gone in _places.Keys.Except(listeners.Select(one => one.Address)).ToList())
        {
            await CloseAsync(gone);
        }
    }

    /// <summary>The sockets that it listens at.</summary>
    public IReadOnlyList<ListeningSocket> Sockets =>
    [
        .. _places.Select(pair => new ListeningSocket(
            ListeningKind.Listener, pair.Value.Name, pair.Key.ToString(), pair.Value.IsGiven, pair.Value.Socket)),
    ];

    /// <summary>Another process listens at these sockets as well: nothing is accepted here.</summary>
    public async ValueTask PauseAsync(IReadOnlyCollection<Socket> sockets)
    {
        foreach (var place in _places.Values.Where(one => sockets.Contains(one.Socket)))
        {
            // The listener closes its own; this one keeps the queue.
            place.Socket = Copy(place.Socket);
            place.IsPaused = true;
            await place.Listener!.StopAsync(leavesQueue: true);
        }
    }

    /// <summary>The other process has failed: everything is accepted here again.</summary>
    public void Resume()
    {
        foreach (var place in _places.Values.Where(one => one.IsPaused))
        {
            place.IsPaused = false;
            place.Listener =
                transport.Listen(place.Socket, connection => sessions.Accept(place.Name, connection));
        }
    }

    private static Socket Copy(Socket socket) => new(new SafeSocketHandle(
        UnixMessages.Duplicate((int)socket.SafeHandle.DangerousGetHandle()), ownsHandle: true));

    /// <summary>Stops all, after those in the queues were accepted, for good.</summary>
    public async ValueTask StopAsync()
    {
        lock (_gate)
        {
            _isStopped = true;
        }
        foreach (var address in _places.Keys.ToList())
        {
            await CloseAsync(address);
        }
    }

    /// <summary>
    /// Where a listener can be reached: with the port that the kernel has chosen, where it was to choose one. Any
    /// thread.
    /// </summary>
    public string Where(ListenAddress address) =>
        _places.TryGetValue(address, out var place) && place.Listener is { } listener
            ? Where(address, listener)
            : address.ToString();

    private static string Where(ListenAddress address, ITransportListener listener) =>
        address.Tcp is { Port: 0, Host: var host } && listener.LocalEndPoint is IPEndPoint chosen
            ? new HostPort(host, chosen.Port).ToString()
            : address.ToString();

    private void Add(
        IReadOnlyList<ListenerConfig> listeners, IReadOnlyDictionary<ListenAddress, Socket> opened,
        IReadOnlyDictionary<string, Socket> given)
    {
        foreach (var listener in listeners)
        {
            if (_places.TryGetValue(listener.Address, out var known))
            {
                known.Name = listener.Name;
                continue;
            }
            var isGiven = given.ContainsKey(listener.Name);
            var place = new Place
            {
                Name = listener.Name, IsGiven = isGiven, Socket = opened[listener.Address],
            };
            place.Listener =
                transport.Listen(opened[listener.Address], connection => sessions.Accept(place.Name, connection));
            _places[listener.Address] = place;
            LogListening(listener.Name, isGiven
                ? "a socket of the service manager"
                : Where(listener.Address, place.Listener), listener.Request.Role);
        }
    }

    private async ValueTask CloseAsync(ListenAddress address)
    {
        if (_places.TryRemove(address, out var place))
        {
            if (place.IsPaused)
            {
                place.Socket.Dispose();   // another process has it, and the file of a path
                return;
            }
            // A socket of the service manager stays open: the next process serves the clients that wait there.
            await place.Listener!.StopAsync(leavesQueue: place.IsGiven);
            if (address.Path is { } path && !place.IsGiven)
            {
                File.Delete(path);   // one that the service manager made is its own
            }
        }
    }

    [LoggerMessage(
        EventId = 6402, Level = LogLevel.Information, Message = "The listener {Name} accepts at {Address} for {Role}")]
    private partial void LogListening(string name, string address, WantedRole role);

    private sealed class Place
    {
        private volatile string _name = "";

        public required string Name
        {
            get => _name;
            set => _name = value;
        }

        public required bool IsGiven { get; init; }

        /// <summary>The listener's; this one's own while it is paused.</summary>
        public required Socket Socket { get; set; }

        public bool IsPaused { get; set; }

        public ITransportListener? Listener { get; set; }
    }
}
