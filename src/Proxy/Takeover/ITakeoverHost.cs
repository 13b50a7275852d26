using System.Net.Sockets;
using Routing.Proxy.Sessions;
using Routing.Proxy.Sessions.Joined;

namespace Routing.Proxy.Takeover;

/// <summary>What a process has that another one takes over.</summary>
internal interface ITakeoverHost
{
    /// <summary>The sessions.</summary>
    SessionServer Sessions { get; }

    /// <summary>
    /// How long sessions, and clients that log in, get to come to a point where they can be handed over.
    /// </summary>
    TimeSpan Patience { get; }

    /// <summary>
    /// The listening sockets. From now on until <see cref="End"/> nothing about them changes, no reload, no drain.
    /// </summary>
    /// <returns>Null: this process is shutting down.</returns>
    ValueTask<IReadOnlyList<ListeningSocket>?> BeginAsync();

    /// <summary>Another process accepts at these, so this one stops; clients stay in the queues.</summary>
    ValueTask PauseAsync(IReadOnlyList<ListeningSocket> taken);

    /// <summary>
    /// The last thing ahead of the word to the other process that it has everything: the path to which the next process
    /// comes is the other one's.
    /// </summary>
    void Leave();

    /// <summary>It is over.</summary>
    /// <param name="successor">
    /// The process that has everything that it can have, so that this one drains; null: it has failed, and all goes on
    /// here.
    /// </param>
    void End(int? successor);
}

/// <summary>A listening socket that another process may go on with.</summary>
/// <param name="Kind">Whose it is.</param>
/// <param name="Name">The listener's name; of the admin port: empty.</param>
/// <param name="Address">As the configuration writes it.</param>
/// <param name="IsGiven">The service manager has opened it, and keeps it open.</param>
/// <param name="Socket">The socket.</param>
internal sealed record ListeningSocket(
    ListeningKind Kind, string Name, string Address, bool IsGiven, Socket Socket);

/// <summary>What a listening socket is for.</summary>
internal enum ListeningKind : byte
{
    /// <summary>A listener of the configuration.</summary>
    Listener,

    /// <summary>The admin port.</summary>
    Admin,
}

/// <summary>What has become of the sessions of a process that another one took over from.</summary>
/// <param name="HandedOver">How many go on there.</param>
/// <param name="Kept">How many it has kept, by reason.</param>
internal sealed record TakeoverCount(int HandedOver, IReadOnlyDictionary<KeptReason, int> Kept)
{
    /// <summary>How many it has kept.</summary>
    public int KeptInAll => Kept.Values.Sum();
}
