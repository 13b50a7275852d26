using System.Buffers;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Routing.Dcs;
using Routing.Proxy.Members;
using Routing.Proxy.Routes;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// A client and a server that are joined. Holds only what an idle session needs; its start-up is gone by then.
/// </summary>
/// <param name="hub">What all share.</param>
/// <param name="listener">Where the client came in.</param>
/// <param name="target">Where the server is.</param>
/// <param name="client">The client's connection; the session's from <see cref="Start"/> on.</param>
/// <param name="server">The server's, likewise.</param>
/// <param name="tap">Follows the messages; null for TLS that passes through.</param>
/// <param name="key">The key by which it may be cancelled; default when none is known.</param>
/// <param name="ticket">The router's; disposed of at the end.</param>
/// <param name="place">Given back at the end.</param>
/// <param name="isReplication">Whether it streams: never idle, never at rest.</param>
/// <param name="again">What another login takes; null: the session never moves.</param>
internal sealed partial class Session(
    SessionHub hub, ListenerModel listener, RouteTarget target, ITransportConnection client,
    ITransportConnection server,
    SessionTap? tap, BackendKey? key, IDisposable? ticket, SessionPlace place, bool isReplication,
    RepeatableLogin? again = null)
{
    private IRelay? _relay;
    private int _stop;   // what the session was told, see Order; 0: nothing
    private long _joinedAt = hub.Time.GetTimestamp();
    private long _cutAt;
    private (long FromClient, long FromServer) _bytesBefore;   // by relays that ended before
    private volatile MovedTo? _moved;   // takes the place of target, server, ticket and key

    /// <summary>Links of the lists that it is in; they belong to the lists.</summary>
    internal Session? Next, Previous, NextInChain;

    /// <summary>The key by which it may be cancelled.</summary>
    public BackendKey Key { get; } = key ?? default;

    /// <summary>The listener that accepted its client.</summary>
    public ListenerModel Listener => listener;

    /// <summary>The member that it runs at.</summary>
    public RouteTarget Target => _moved?.Target ?? target;

    /// <summary>The member, and the key that it has given the session where that is not <see cref="Key"/>.</summary>
    public (RouteTarget Target, BackendKey? ServerKey) Whereabouts =>
        _moved is { } moved ? (moved.Target, moved.Key) : (target, null);

    /// <summary>The loop of both of its connections.</summary>
    public int Loop => client.Loop;

    /// <summary>Whether it is a connection for replication.</summary>
    public bool IsReplication => isReplication;

    /// <summary>Bytes taken from the client since it was joined.</summary>
    public long FromClient => _bytesBefore.FromClient + (_relay?.FromClient ?? 0);

    /// <summary>Bytes taken from the server since it was joined.</summary>
    public long FromServer => _bytesBefore.FromServer + (_relay?.FromServer ?? 0);

    /// <summary>Whether a key was announced for it.</summary>
    private bool HasKey => key.HasValue;

    private ITransportConnection Server => _moved?.Server ?? server;

    /// <summary>Makes its key known; before the client can know it.</summary>
    public void Announce()
    {
        if (HasKey)
        {
            hub.Cancels.Add(this);
        }
    }

    /// <summary>
    /// Undoes everything when the client went away before it could be joined. The connections stay the caller's.
    /// </summary>
    public void Abandon()
    {
        if (HasKey)
        {
            hub.Cancels.Remove(this);
        }
    }

    /// <summary>Joins. On the connections' loop; never throws.</summary>
    public void Start()
    {
        _relay = hub.Transport.Join(client, server, tap);
        hub.Sessions.Add(this);
        // The routes may have changed since this target was chosen, and a sweep may just have missed it.
        ObeyAtOnce();
        _ = RelayAsync(_relay);   // it owns itself from here on: the table knows it, and its end is handled within
    }

    private void ObeyAtOnce()
    {
        if (Obey(hub.Router.VerdictOn(listener.Name, Target), hub.Time.GetTimestamp()) is { } due)
        {
            hub.SweepAt(due);
        }
        if (hub.IsDraining)
        {
            Drain(hub.DrainLeft);
        }
    }

    /// <summary>Ends it without a word. Any thread.</summary>
    public void Abort()
    {
        client.Abort();
        Server.Abort();
    }

    /// <summary>Acts on what the router says of it. Any thread.</summary>
    /// <returns>The timestamp at which it has to be judged again, so that a cut can follow; null: no need.</returns>
    public long? Obey(SessionVerdict verdict, long now)
    {
        switch (verdict)
        {
            case SessionVerdict.Stay:
                Volatile.Write(ref _cutAt, 0);
                return null;
            case SessionVerdict.Hold:
                Volatile.Write(ref _cutAt, 0);
                if (tap is not null && !isReplication && hub.Router.HoldOf(listener.Name, Target.Member) is { } hold)
                {
                    End(SessionEnd.Held, atRest: true, hub.Router.HoldLeft(hold, listener.Name));
                }
                return null;
            case SessionVerdict.MoveBack when hub.Settings.FallbackStay
                - hub.Time.GetElapsedTime(_joinedAt, now) is var left && left > TimeSpan.Zero:
                Volatile.Write(ref _cutAt, 0);
                return now + hub.Time.TimestampsIn(left) + 1;
            case SessionVerdict.CutAtRest or SessionVerdict.MoveBack:
                Volatile.Write(ref _cutAt, 0);
                End(SessionEnd.CutAtRest, atRest: tap is not null && !isReplication, hub.Settings.RestGrace);
                return null;
            default:
                if (MayBeMoved && Volatile.Read(ref _cutAt) == 0)
                {
                    // It moves at once; found busy after all, it is cut below like any other.
                    End(SessionEnd.CutAtRest, atRest: true, hub.Settings.RestGrace);
                }
                // First the server's own words get their time, then it is cut.
                if (Interlocked.CompareExchange(ref _cutAt, hub.After(hub.Settings.CutGrace), 0) is not 0 and var due
                    && due <= now)
                {
                    End(SessionEnd.Cut, atRest: false, hub.Settings.BoundaryGrace);
                    return null;
                }
                return Volatile.Read(ref _cutAt);
        }
    }

    /// <summary>
    /// Ends it at rest within a time; replication at once; what can't be read when the time is over. Any thread.
    /// </summary>
    public void Drain(TimeSpan left)
    {
        if (isReplication || left <= TimeSpan.Zero)
        {
            End(SessionEnd.Drained, atRest: false, hub.Settings.BoundaryGrace);
        }
        else if (tap is not null)
        {
            End(SessionEnd.Drained, atRest: true, left);
        }
    }

    /// <summary>Ends it when nothing has moved for its listener's idle time. Any thread.</summary>
    public void CheckIdle(long now)
    {
        var limit = listener.Config.IdleTimeout;
        if (limit <= TimeSpan.Zero || isReplication || _relay is not { } relay
            || hub.Time.GetElapsedTime(relay.LastActivity, now) < limit)
        {
            return;
        }
        // Read from another thread, but nothing has moved for long: what it says is true, or the client speaks at this
        // very moment, and then the stop waits until it has its answer.
        if (tap is null || tap.AtRest)
        {
            End(SessionEnd.Idle, atRest: tap is not null, hub.Settings.RestGrace);
        }
    }

    // The sharpest order counts, and of two for the same reason the one that does not wait for rest.
    private void End(SessionEnd end, bool atRest, TimeSpan grace)
    {
        var order = Order(end, atRest);
        var before = Volatile.Read(ref _stop);
        while (before < order)
        {
            var seen = Interlocked.CompareExchange(ref _stop, order, before);
            if (seen == before)
            {
                Stop(atRest, grace);
                return;
            }
            before = seen;
        }
    }

    private void Stop(bool atRest, TimeSpan grace)
    {
        if (atRest)
        {
            _relay!.StopAtRest(grace);
        }
        else
        {
            _relay!.StopAtBoundary(grace);
        }
    }

    private static int Order(SessionEnd end, bool atRest) => ((int)end << 1) | (atRest ? 0 : 1);

    private async Task RelayAsync(IRelay relay)
    {
        var end = await BeginAsync(relay);
        try
        {
            while (true)
            {
                (var next, end) = await NextAsync(end);
                if (next is null)
                {
                    break;
                }
                end = await BeginAsync(next);
            }
            await TakeLeaveAsync(end);
        }
        catch (Exception error) when (error is IOException or SocketException or InvalidOperationException
            or ObjectDisposedException)
        {
            client.Abort();   // the connection broke while the last message was sent
            Server.Abort();
        }
        catch (Exception error)
        {
            client.Abort();
            Server.Abort();
            LogFault(hub.Logger, error);
        }
    }

    private async ValueTask TakeLeaveAsync(RelayEnd relayEnd)
    {
        Abandon();
        ForgetState();
        hub.Sessions.Remove(this);
        hub.Limits.Release(place);
        (_moved is { } moved ? moved.Ticket : ticket)?.Dispose();
        var end = EndOf(relayEnd);
        NoteNotMoved(relayEnd, end);
        hub.Events.Closed(listener.Name, Target.Member, end, FromClient, FromServer);
        again?.Dispose();
        var server = Server;
        switch (relayEnd)
        {
            case RelayEnd.ClientBroke:
                client.Abort();
                await server.DisposeAsync();   // at once, so that the server notices
                return;
            case RelayEnd.HandedOver:
                // Nothing of the sockets changes: the other process has descriptors of its own.
                await client.DisposeAsync();
                await server.DisposeAsync();
                return;
            case RelayEnd.ClientClosed:
                await server.DisposeAsync();
                await client.EndAsync(hub.Settings.Linger);   // the last answers arrive, if the client still reads
                return;
            case RelayEnd.Stopped when tap is { AtRest: true }:
                Goodbye(server);
                await server.Output.FlushAsync();
                await server.DisposeAsync();
                break;
            default:
                server.Abort();
                break;
        }
        if (_words is { } words)
        {
            client.Output.Write(words);
        }
        else if (tap is { ClientAtBoundary: true, EndedWithError: false, IsTerminated: false })
        {
            Farewell.Write(client.Output, end, tap, Target.Member);
        }
        await client.EndAsync(hub.Settings.Linger);
    }

    private SessionEnd EndOf(RelayEnd end) => end switch
    {
        RelayEnd.Stopped =>
            (SessionEnd)(_stop >> 1) is var told && told == SessionEnd.Cut && tap is { IsOutcomeOpen: true }
            ? SessionEnd.CutInCommit
            : told,
        RelayEnd.HandedOver => SessionEnd.HandedOver,
        _ when tap is { IsTerminated: true } => SessionEnd.ClientTerminated,
        RelayEnd.ClientClosed => SessionEnd.ClientClosed,
        RelayEnd.ClientBroke => SessionEnd.ClientBroke,
        RelayEnd.Withheld => SessionEnd.ServerTerminated,
        _ when tap is { EndedWithError: true } => SessionEnd.ServerTerminated,
        RelayEnd.ServerClosed => SessionEnd.ServerClosed,
        _ => SessionEnd.ServerBroke,
    };

    private static void Goodbye(ITransportConnection server)
    {
        ReadOnlySpan<byte> terminate = [MessageType.Terminate, 0, 0, 0, 4];
        terminate.CopyTo(server.Output.GetSpan(terminate.Length));
        server.Output.Advance(terminate.Length);
    }

    [LoggerMessage(EventId = 6001, Level = LogLevel.Error,
        Message = "A session could not be ended in good order: a fault of this program")]
    private static partial void LogFault(ILogger logger, Exception error);
}
