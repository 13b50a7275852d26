using System.Net;
using System.Net.Sockets;
using Routing.Proxy.Configuration;
using Routing.Proxy.Takeover;

namespace Routing.Proxy.Host;

/// <summary>
/// The listening sockets of the process that this one takes over from (none, where it does not), and those of the admin
/// port, for the process that takes over from this one.
/// </summary>
internal sealed class TakenSockets
{
    private readonly List<int> _used = [];
    private readonly List<(EndPoint EndPoint, Socket Socket)> _admin = [];
    private IReadOnlyList<ListeningSocket> _all = [];

    /// <summary>The places, from 0, of those that are used here.</summary>
    public IReadOnlyCollection<int> Used => _used;

    /// <summary>The sockets of the admin port, by where it was to be bound.</summary>
    public IReadOnlyList<(EndPoint EndPoint, Socket Socket)> Admin => _admin;

    /// <summary>Takes what the other process has sent.</summary>
    public void Add(IReadOnlyList<ListeningSocket> sockets) => _all = sockets;

    /// <summary>A bound socket for the admin port: the other process's, where it is at the same address.</summary>
    /// <exception cref="SocketException">The address can't be had.</exception>
    public Socket ForAdmin(EndPoint endpoint, bool reusePort) =>
        Note(endpoint, Use(one => one.Kind == ListeningKind.Admin && one.Address == endpoint.ToString())?.Socket
            ?? ListenSockets.Bind(endpoint, reusePort));

    /// <summary>The sockets that listeners need not open.</summary>
    /// <param name="listeners">The listeners.</param>
    /// <param name="given">What the service manager has opened for this process.</param>
    /// <returns>By listener: all, and those of them that belong to the service manager.</returns>
    public (IReadOnlyDictionary<string, Socket> All, IReadOnlyDictionary<string, Socket> Given) For(
        IReadOnlyList<ListenerConfig> listeners, IReadOnlyDictionary<string, Socket> given)
    {
        var (all, managers) = (given.ToDictionary(), given.ToDictionary());
        foreach (var listener in listeners.Where(one => !all.ContainsKey(one.Name)))
        {
            if (Use(one => Fits(one, listener)) is { } taken)
            {
                all.Add(listener.Name, taken.Socket);
                if (taken.IsGiven)
                {
                    managers.Add(listener.Name, taken.Socket);
                }
            }
        }
        return (all, managers);
    }

    /// <summary>
    /// Closes what nothing here needs: clients must not wait in a queue from which nothing takes them.
    /// </summary>
    public void CloseUnused()
    {
        for (var at = 0; at < _all.Count; at++)
        {
            if (!_used.Contains(at))
            {
                _all[at].Socket.Dispose();
            }
        }
    }

    // Of a port that the kernel has chosen the name tells which it is.
    private static bool Fits(ListeningSocket socket, ListenerConfig listener) =>
        socket.Kind == ListeningKind.Listener && socket.Address == listener.Address.ToString()
        && (listener.Address.Distinction.Length == 0 || socket.Name == listener.Name);

    private Socket Note(EndPoint endpoint, Socket socket)
    {
        _admin.Add((endpoint, socket));
        return socket;
    }

    private ListeningSocket? Use(Func<ListeningSocket, bool> fits)
    {
        for (var at = 0; at < _all.Count; at++)
        {
            if (!_used.Contains(at) && fits(_all[at]))
            {
                _used.Add(at);
                return _all[at];
            }
        }
        return null;
    }
}
