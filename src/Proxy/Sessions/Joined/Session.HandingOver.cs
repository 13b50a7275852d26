using Routing.Proxy.Configuration;
using Routing.Proxy.Tls;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <content>How another process of the proxy goes on with a session.</content>
internal sealed partial class Session
{
    private const int Gone = int.MaxValue;   // in place of an order: none is taken any more
    private static readonly int s_handedOver = Order(SessionEnd.HandedOver, atRest: true);

    private volatile ISessionCarrier? _carrier;
    private volatile bool _isLearning;   // the key behind its login is being looked for

    /// <summary>Why its connections can't be used by another process; null: they can. Any thread.</summary>
    public KeptReason? NotShared =>
        (client, Server) switch
        {
            (ISharedConnection, ISharedConnection) => null,
            (TlsConnection, _) or (_, TlsConnection) => KeptReason.Tls,
            _ => KeptReason.Transport,
        };

    /// <summary>
    /// Goes on with a session of another process. The connections and the place are the session's from
    /// <see cref="Start"/> on.
    /// </summary>
    /// <param name="hub">What all share.</param>
    /// <param name="listener">Where its client has come in.</param>
    /// <param name="parcel">What the other process knew.</param>
    /// <param name="client">The client's connection.</param>
    /// <param name="server">The server's.</param>
    /// <param name="place">Given back at the end.</param>
    public static Session TakeOver(
        SessionHub hub, ListenerModel listener, SessionParcel parcel, ITransportConnection client,
        ITransportConnection server, SessionPlace place)
    {
        var ticket = hub.Router.Count(listener.Name, parcel.Target.Member);
        return new Session(
            hub, listener, parcel.Target, client, server,
            parcel.Tap is { } tap
                ? SessionTap.Restore(tap, listener.Config.Replay == ReplayMode.FirstStatement)
                : null,
            parcel.Key, ticket, place, parcel.IsReplication, parcel.Login)
        {
            _hasToldMore = parcel.HasToldMore,
            _moved = parcel.ServerKey is { } serverKey
                ? new MovedTo(parcel.Target, server, ticket, serverKey)
                : null,
        };
    }

    /// <summary>Hands it over as soon as it stands between two messages. Any thread.</summary>
    /// <returns>False: not now, because it is about to end, is held, or moves.</returns>
    public bool HandOver(ISessionCarrier carrier)
    {
        if (NotShared is not null || _isLearning)
        {
            return false;
        }
        _carrier = carrier;
        var before = Interlocked.CompareExchange(ref _stop, s_handedOver, 0);
        if (before == 0)
        {
            _relay!.StopBetweenMessages();
        }
        return before == 0 || before == s_handedOver;
    }

    /// <summary>It stays here after all, unless it has just been handed over. Any thread.</summary>
    public void StayHere()
    {
        _carrier = null;
        if (Interlocked.CompareExchange(ref _stop, 0, s_handedOver) == s_handedOver)
        {
            _relay!.GoOn();
        }
    }

    /// <summary>Begins one that was taken over. Any thread.</summary>
    public void Begin()
    {
        hub.Events.TakenOver(listener.Name, Target.Member);
        client.Post(static self => ((Session)self!).Start(), this);
    }

    /// <summary>A session of another process that was not begun here: nothing of its sockets changes.</summary>
    public async Task DropAsync()
    {
        Abandon();
        hub.Limits.Release(place);
        ticket?.Dispose();
        again?.Dispose();
        await client.DisposeAsync();
        await server.DisposeAsync();
    }

    // True: the other process has it. It was stopped between two messages. Never throws for what a peer does.
    private async ValueTask<bool> TryHandOverAsync()
    {
        await new LoopSwitch(client);
        var isPassed = _carrier is { } carrier && !_isLearning && await ParcelAsync() is { } parcel
            && await carrier.PassAsync(
                this, parcel, () => Interlocked.CompareExchange(ref _stop, Gone, s_handedOver) == s_handedOver);
        await new LoopSwitch(client);
        if (isPassed)
        {
            return true;
        }
        if (Interlocked.CompareExchange(ref _stop, 0, s_handedOver) != s_handedOver
            && Interlocked.CompareExchange(ref _stop, 0, Gone) == Gone)
        {
            ObeyAtOnce();   // what it was told meanwhile was not taken
        }
        return false;
    }

    // Null: it has to go on here, for now.
    private async ValueTask<SessionParcel?> ParcelAsync()
    {
        var (target, serverKey) = Whereabouts;
        if (client is not ISharedConnection ours || Server is not ISharedConnection theirs)
        {
            return null;
        }
        try
        {
            await client.Output.FlushAsync();
            await theirs.Output.FlushAsync();
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            return null;   // the relay that goes on here finds it
        }
        return tap is not { IsBetweenMessages: false }
            && await ours.ShareAsync() is { } own && await theirs.ShareAsync() is { } other
            ? new SessionParcel
            {
                Listener = listener.Name,
                User = place.User,
                Target = target,
                IsReplication = isReplication,
                Key = key,
                ServerKey = serverKey,
                Tap = tap?.Save(),
                Login = again,
                HasToldMore = _hasToldMore,
                Client = own,
                Server = other,
            }
            : null;
    }
}
