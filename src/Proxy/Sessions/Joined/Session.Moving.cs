using Routing.Proxy.Configuration;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <content>How a session goes on when its server is lost to it while it is at rest and may move.</content>
internal sealed partial class Session
{
    // A server that takes logins and loses them at once is left to new clients after so many.
    private const int MostMovesInHaste = 5;
    private static readonly TimeSpan s_haste = TimeSpan.FromSeconds(5);

    private volatile bool _isMoving;
    private byte _movesInHaste;  // in a row, each soon after the one before
    private NotMoved? _reason;   // why a move that was tried has failed
    private byte[]? _words;      // the last words of a server that has refused the session
    private bool _isTerminated;  // by its server, which lives
    private StateAnswer? _answer;      // what it holds, asked for since anything of its client's passed
    private bool _hasToldMore;         // its client knows other parameters than those of its login
    private IDisposable? _listening;   // it listened to notifications, and does not yet again

    /// <summary>
    /// It would go on at another server now. Any thread: true for a session at which nothing happens.
    /// </summary>
    public bool MayMove => again is not null && tap is { MayMove: true };

    // Stopped at rest, it may go on at another server, by all that is known before it is asked for its state.
    private bool MayBeMoved => again is not null && tap is { MayMove: true } or { MayBeAsked: true };

    private bool IsCarried => _answer is { IsUsable: true, Reason: null };

    /// <summary>
    /// Finds the key that its client has logged in with, so that the session can be logged in again. On the loop; never
    /// throws.
    /// </summary>
    /// <param name="user">The user.</param>
    /// <param name="exchange">The login.</param>
    public async Task LearnKeyAsync(string user, LoginExchange exchange)
    {
        _isLearning = true;
        if (hub.Mover is { } mover && await mover.FindKeyAsync(user, exchange, Lost) is { } secret)
        {
            await new LoopSwitch(client);
            if (again!.TryLearn(secret))
            {
                tap!.Arm();
            }
        }
        _isLearning = false;
    }

    // The relay that carries it on; null: it ends as the relay has ended. Never throws for what a peer does.
    private async ValueTask<IRelay?> GoOnAsync(RelayEnd end)
    {
        if (hub.Mover is null || end is RelayEnd.ClientClosed or RelayEnd.ClientBroke
            || tap is not { EndedWithError: false }
            || !(tap.First is not null || tap.MayMove || IsCarried || (end == RelayEnd.Stopped && tap.MayBeAsked)))
        {
            return null;   // ended by its client, not at rest, with state, or with the server's words to its client
        }
        try
        {
            return await (tap.First is { } first ? RepeatAsync(end, tap, first) : GoOnAsync(end, tap));
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            _reason = NotMoved.ClientGone;
            return null;
        }
    }

    private async ValueTask<IRelay?> GoOnAsync(RelayEnd end, SessionTap tap)
    {
        var lostAt = hub.Time.GetTimestamp();
        await new LoopSwitch(client);
        if (end == RelayEnd.Withheld)
        {
            var meaning = await WithheldWords.ReadAsync(Server, hub.Settings.BoundaryGrace, hub.Time);
            if (meaning == WordsMeaning.Others)
            {
                tap.LetPass();
                return await JoinAgainAsync();
            }
            _isTerminated = meaning == WordsMeaning.Terminated && !await IsLostToItAsync();
            await new LoopSwitch(client);
            if (_isTerminated || hub.IsDraining)
            {
                tap.StopFollowing();
                return await JoinAgainAsync();   // the words are delivered, and the end behind them
            }
        }
        else if (end == RelayEnd.Stopped)
        {
            if (hub.IsDraining || (SessionEnd)(_stop >> 1) is not (SessionEnd.Cut or SessionEnd.CutAtRest))
            {
                return null;
            }
            await LearnStateAsync();
            if (!tap.MayMove && !IsCarried)
            {
                _reason = _answer?.Reason;
                return null;
            }
        }
        if (_listening is not null)
        {
            var last = new LastNotifications(Server, client);
            await last.PassAsync(hub.Settings.StateTimeout, hub.Time);
            await new LoopSwitch(client);
            _hasToldMore |= last.HasParameters;
        }
        // A move that the routes ask for while the old server lives is no sign of a server that loses its logins.
        _movesInHaste = end != RelayEnd.Stopped && _moved is not null && hub.Time.GetElapsedTime(_joinedAt) < s_haste
            ? (byte)(_movesInHaste + 1)
            : (byte)0;
        var move = _movesInHaste > MostMovesInHaste
            ? new MoveEnd(null, NotMoved.NoServer)
            : await MoveAsync(tap);
        await new LoopSwitch(client);
        if (move.Moved is { } moved)
        {
            return Adopt(moved, lostAt, isOldAlive: end == RelayEnd.Stopped);
        }
        (_reason, _words) = (move.Reason, move.Words);
        if (end == RelayEnd.Withheld && _words is null)
        {
            tap.StopFollowing();
            return await JoinAgainAsync();
        }
        return null;
    }

    // A leader that hands over meanwhile does not wait for it: nothing of it runs, and it may wait for the leader.
    private async ValueTask<MoveEnd> MoveAsync(SessionTap tap)
    {
        _isMoving = true;
        try
        {
            return await hub.Mover!.MoveAsync(
                Lost with { State = _answer?.State, Listening = _listening },
                tellsAll: tap.HasToldParameters || _hasToldMore);
        }
        finally
        {
            _isMoving = false;
        }
    }

    // Asks it what it holds, where that is not known and it may be carried. On the loop, when it has stopped at rest.
    private async ValueTask LearnStateAsync()
    {
        if (_answer is null && again is not null && tap is { MayMove: false, MayBeAsked: true }
            && hub.Mover is { } mover)
        {
            _answer = await mover.AskAsync(Lost, Server);
            await new LoopSwitch(client);
            _hasToldMore |= _answer.HasToldParameters;
            _listening = _answer is { Reason: null, State.Channels.Count: > 0 } ? hub.Listening.Enter() : null;
        }
    }

    // Its client may change its state again.
    private void ForgetState()
    {
        _listening?.Dispose();
        (_answer, _listening) = (null, null);
    }

    // Whether the server's end is no decision about this session.
    private async ValueTask<bool> IsLostToItAsync() =>
        hub.Router.VerdictOn(listener.Name, Target) != SessionVerdict.Stay
        || await hub.Stopping.AskAsync(
            Target.Member, () => hub.Mover!.IsStoppingAsync(Lost));

    private MovingSession Lost => new(listener, client, again!, Target);

    // To the same server: what has not passed yet passes now.
    private async ValueTask<IRelay> JoinAgainAsync()
    {
        ForgetState();
        await client.Output.FlushAsync();
        await Server.Output.FlushAsync();
        var relay = hub.Transport.Join(client, Server, tap);
        var settings = hub.Settings;
        hub.Sessions.Change(this, (relay, settings), static (session, next) =>
        {
            session._bytesBefore = (session.FromClient, session.FromServer);
            session._relay = next.relay;
            // It may have been told to stop while no relay was there to obey.
            if (session._stop == s_held)
            {
                session.HoldAgain();
            }
            else if (session._stop == s_handedOver)
            {
                next.relay.StopBetweenMessages();
            }
            else if (session._stop != 0)
            {
                var atRest = (session._stop & 1) == 0;
                session.Stop(atRest, atRest ? next.settings.RestGrace : next.settings.BoundaryGrace);
            }
        });
        return relay;
    }

    private IRelay Adopt(MovedTo moved, long lostAt, bool isOldAlive)
    {
        var (from, old, oldTicket) = (Target.Member, Server, _moved is { } before ? before.Ticket : ticket);
        var (up, down) = (FromClient, FromServer);
        ForgetState();
        var relay = hub.Transport.Join(client, moved.Server, tap);
        hub.Sessions.Change(this, (moved, relay), static (session, next) =>
        {
            (session._moved, session._relay) = next;
            session._bytesBefore = default;
            // What it was told was about the old server.
            (session._stop, session._cutAt) = (0, 0);
        });
        (_joinedAt, _hasToldMore) = (hub.Time.GetTimestamp(), true);
        oldTicket?.Dispose();
        _ = LeaveAsync(old, isOldAlive);
        hub.Events.Moved(
            listener.Name, from, moved.Target.Member, hub.Time.GetElapsedTime(lostAt), up, down);
        hub.Moves.Note(listener.Name, from, moved.Target.Member);
        ObeyAtOnce();
        return relay;
    }

    // Never throws.
    private static async Task LeaveAsync(ITransportConnection server, bool isAlive)
    {
        try
        {
            if (isAlive)
            {
                Goodbye(server);
                await server.Output.FlushAsync();
                await server.DisposeAsync();
                return;
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            // it was not alive after all
        }
        server.Abort();
    }

    private void NoteNotMoved(RelayEnd relayEnd, SessionEnd end)
    {
        if (tap is not { IsTerminated: false } || isReplication || listener.Config.Move == MoveMode.Off
            || relayEnd is RelayEnd.ClientClosed or RelayEnd.ClientBroke
            || end is SessionEnd.ClientTerminated or SessionEnd.Idle or SessionEnd.Drained or SessionEnd.HandedOver)
        {
            return;
        }
        var reason = _isTerminated ? NotMoved.Terminated
            : _reason is { } known ? known
            : hub.IsDraining ? NotMoved.Draining
            : again is null || !tap.IsArmed ? NotMoved.NeedsClient
            : !tap.AtRest ? NotMoved.Busy
            : tap.HasHiddenSettings ? NotMoved.HiddenSettings
            : NotMoved.HoldsState;
        hub.Events.NotMoved(listener.Name, reason);
        hub.NotMoved.Note(listener.Name, reason);
    }
}
