using System.Buffers;
using Routing.Proxy.Routes;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <content>
/// How a session goes on when its server is lost to it in its first statement, which certainly had no effect: it moves,
/// and the proxy repeats the statement.
/// </content>
internal sealed partial class Session
{
    // Of one statement: a cluster that is of two minds about its primary is not asked for ever.
    private const int MostRepeats = 3;

    // The relay that carries it on; null: it ends as the relay has ended.
    private async ValueTask<IRelay?> RepeatAsync(RelayEnd end, SessionTap tap, FirstStatement first)
    {
        var lostAt = hub.Time.GetTimestamp();
        var unsent = (int)Math.Min(int.MaxValue, _relay!.Unsent);
        await new LoopSwitch(client);
        RefusedStatement? refused = null;
        if (end == RelayEnd.Withheld)
        {
            if (!first.IsRepeatable())
            {
                hub.Events.NotRepeated(listener.Name, NotRepeated.NotRepeatable);
                return await PassOnAsync(first);
            }
            refused = new RefusedStatement();
            await refused.ReadAsync(Server, tap.Outstanding, hub.Settings.BoundaryGrace, hub.Time);
            await new LoopSwitch(client);
            if (!refused.IsWithoutEffect)
            {
                refused = null;
                if (!first.IsUnsent(0) || !await IsLostByItsWordsAsync())
                {
                    return await PassOnAsync(first);
                }
            }
            else if (await WhyNotRepeatedAsync(first, refused.Code!) is { } why)
            {
                hub.Events.NotRepeated(listener.Name, why);
                return await PassOnAsync(first);
            }
        }
        else if (!first.IsUnsent(unsent) || (end == RelayEnd.Stopped && !IsToldToLeave))
        {
            return null;
        }
        if (refused is null && (!first.IsRepeatable() || first.Repeats >= MostRepeats))
        {
            return null;
        }
        var moved = await LeaveForAsync(tap, first, refused);
        if (moved is null)
        {
            hub.Events.NotRepeated(listener.Name, NotRepeated.NotMoved);
            _words ??= refused?.Error;
            return null;
        }
        hub.Events.Repeated(listener.Name, refused switch
        {
            null => RepeatReason.Unsent,
            { Code: SqlState.ReadOnlyTransaction } => RepeatReason.ReadOnly,
            _ => RepeatReason.NotReady,
        });
        first.Repeats++;
        return Adopt(
            moved, lostAt,
            isOldAlive: refused is { Status: not 0 } && tap is { ServerAtBoundary: true, IsUnsynced: false });
    }

    private bool IsToldToLeave =>
        !hub.IsDraining && (SessionEnd)(_stop >> 1) is SessionEnd.Cut or SessionEnd.CutAtRest;

    // The server has said that it ends, while it had nothing to do.
    private async ValueTask<bool> IsLostByItsWordsAsync()
    {
        var meaning = await WithheldWords.ReadAsync(Server, hub.Settings.BoundaryGrace, hub.Time);
        var isLost = meaning == WordsMeaning.Crashed || (meaning == WordsMeaning.Terminated && await IsLostToItAsync());
        await new LoopSwitch(client);
        return isLost && !hub.IsDraining;
    }

    // Null: the statement may be repeated.
    private async ValueTask<NotRepeated?> WhyNotRepeatedAsync(FirstStatement first, string code)
    {
        if (first.Repeats >= MostRepeats)
        {
            return NotRepeated.TooOften;
        }
        if (hub.IsDraining)
        {
            return NotRepeated.NotMoved;
        }
        var isLost = code != SqlState.ReadOnlyTransaction
            || (Target.MustBePrimary && await IsPrimaryNoMoreAsync());
        await new LoopSwitch(client);
        return isLost ? null : NotRepeated.StillPrimary;
    }

    // An application may have made its transactions read-only: then the server is the primary, and says so at a login.
    private async ValueTask<bool> IsPrimaryNoMoreAsync() =>
        hub.Router.VerdictOn(listener.Name, Target) is not (SessionVerdict.Stay or SessionVerdict.Hold)
        || await hub.Stopping.AskAsync(Target.Member, () => hub.Mover!.IsStoppingAsync(Lost));

    private async ValueTask<IRelay> PassOnAsync(FirstStatement first)
    {
        first.Spend();
        return await JoinAgainAsync();
    }

    // Moves it, and sends the statement there; null: it did not move.
    private async ValueTask<MovedTo?> LeaveForAsync(SessionTap tap, FirstStatement first, RefusedStatement? refused)
    {
        if (!tap.WasClean && (refused is null || !await LearnStateInStatementAsync(tap, first, refused)))
        {
            _reason ??= NotMoved.Busy;
            return null;
        }
        foreach (var notification in refused?.Notifications ?? [])
        {
            client.Output.Write(notification);
        }
        var move = await MoveAsync(tap);
        await new LoopSwitch(client);
        if (move.Moved is not { } moved)
        {
            (_reason, _words) = (move.Reason, move.Words);
            return null;
        }
        if (await SendAgainAsync(moved.Server, first))
        {
            return moved;
        }
        moved.Server.Abort();
        moved.Ticket?.Dispose();
        _reason = NotMoved.NoServer;
        return null;
    }

    // The refused statement is out of the way then: its server can be asked.
    private async ValueTask<bool> LearnStateInStatementAsync(
        SessionTap tap, FirstStatement first, RefusedStatement refused)
    {
        if (refused.Status == 0 || tap.IsUnsynced || !tap.ServerAtBoundary || !tap.CouldBeAsked)
        {
            _reason = tap.HasHiddenSettings ? NotMoved.HiddenSettings : NotMoved.StateUnknown;
            return false;
        }
        refused.Take(Server);
        var answer = await hub.Mover!.AskAsync(Lost, Server, endsTransaction: refused.Status != (byte)'I');
        await new LoopSwitch(client);
        _hasToldMore |= answer.HasToldParameters;
        _reason = answer.Reason;
        // What the statement prepares itself, it prepares again.
        _answer = answer with
        {
            State = answer.State is { } state
                ? state with { Statements = [.. state.Statements.Where(one => !first.Prepares(one.Name))] }
                : null,
        };
        _listening = _answer is { Reason: null, State.Channels.Count: > 0 } ? hub.Listening.Enter() : null;
        return answer.Reason is null;
    }

    private async ValueTask<bool> SendAgainAsync(ITransportConnection server, FirstStatement first)
    {
        try
        {
            if (!first.Begin.IsEmpty)
            {
                server.Output.Write(first.Begin);
                await server.Output.FlushAsync();
                if (!await HasBegunAsync(server))
                {
                    return false;
                }
            }
            server.Output.Write(first.Statement);
            await server.Output.FlushAsync();
            await new LoopSwitch(client);
            return true;
        }
        catch (Exception error) when (ConnectionFault.Is(error) || error is OperationCanceledException)
        {
            await new LoopSwitch(client);
            return false;
        }
    }

    // The client has had the answers to its BEGIN: these are taken out.
    private async ValueTask<bool> HasBegunAsync(ITransportConnection server)
    {
        using var limit = new CancellationTokenSource(hub.Settings.AnswerTimeout, hub.Time);
        while (true)
        {
            var result = await server.Input.ReadAsync(limit.Token);
            var rest = result.Buffer;
            while (ServerMessage.Peek(rest) is { State: ServerMessageState.Whole } message)
            {
                var whole = rest.Slice(0, message.Length);
                rest = rest.Slice(message.Length);
                if (message.Type is MessageType.ReadyForQuery or MessageType.ErrorResponse)
                {
                    var hasBegun = message.Type == MessageType.ReadyForQuery
                        && message.Body(whole).SequenceEqual("T"u8);
                    server.Input.AdvanceTo(rest.Start);
                    return hasBegun;
                }
            }
            server.Input.AdvanceTo(rest.Start, rest.End);
            if (result.IsCompleted)
            {
                return false;
            }
        }
    }
}
