using Routing.Proxy.Routes;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions.Joined;

/// <content>How a session waits at rest while its member is about to hand over.</content>
internal sealed partial class Session
{
    private static readonly int s_held = Order(SessionEnd.Held, atRest: true);
    private static readonly int s_leaving = Order(SessionEnd.CutAtRest, atRest: true);

    private volatile bool _isHeld;

    /// <summary>It is at rest, and nothing of its client's passes. Any thread.</summary>
    public bool IsHeld => _isHeld;

    /// <summary>A leader that hands over waits for it to come to rest. Any thread.</summary>
    public bool KeepsLeaderBusy => tap is not null && !isReplication && !_isHeld && !_isMoving;

    // From the first byte on: its member may be about to hand over already, or be the wrong one by now.
    private async ValueTask<RelayEnd> BeginAsync(IRelay relay) =>
        tap is { MayStop: true } && Volatile.Read(ref _stop) is var stop && (stop == s_held || stop == s_leaving)
            ? RelayEnd.Stopped
            : await relay.RunAsync();

    // The relay that carries it on, after what held it; null: it ends, as told. Never throws for what a peer does.
    private async ValueTask<(IRelay? Next, RelayEnd End)> NextAsync(RelayEnd end)
    {
        try
        {
            if (end == RelayEnd.Stopped && (SessionEnd)(Volatile.Read(ref _stop) >> 1) <= SessionEnd.HandedOver)
            {
                return await TryHandOverAsync()
                    ? (null, RelayEnd.HandedOver)
                    : (await JoinAgainAsync(), RelayEnd.Held);
            }
            if (end == RelayEnd.Stopped && Volatile.Read(ref _stop) == s_held)
            {
                await new LoopSwitch(client);
                end = await HoldAsync();
                if (end == RelayEnd.Held)
                {
                    return (await JoinAgainAsync(), end);
                }
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            return (null, RelayEnd.ClientBroke);
        }
        return (again is null ? null : await GoOnAsync(end), end);
    }

    // A hold came while it was joined again: for as long as that holds, if it still does.
    private void HoldAgain()
    {
        if (hub.Router.HoldOf(listener.Name, Target.Member) is { } hold)
        {
            Stop(atRest: true, hub.Router.HoldLeft(hold, listener.Name));
        }
        else
        {
            Interlocked.CompareExchange(ref _stop, 0, s_held);
        }
    }

    /// <summary>Waits while its member is about to hand over.</summary>
    /// <returns>
    /// <see cref="RelayEnd.Held"/>: the session goes on where it is; else the end that it goes on from.
    /// </returns>
    private async ValueTask<RelayEnd> HoldAsync()
    {
        var begun = hub.Time.GetTimestamp();
        var isServerHeard = false;
        try
        {
            while (tap is { AtRest: true } && hub.Router.HoldOf(listener.Name, Target.Member) is { } hold)
            {
                await LearnStateAsync();   // before its leader may go
                if (_answer is { IsUsable: false })
                {
                    Interlocked.CompareExchange(ref _stop, Order(SessionEnd.CutAtRest, atRest: true), s_held);
                    return RelayEnd.Stopped;
                }
                _isHeld = true;
                isServerHeard |= await WaitAsync(hold, isServerHeard);
            }
        }
        finally
        {
            if (_isHeld)
            {
                _isHeld = false;
                hub.Events.SessionHeld(listener.Name, hub.Time.GetElapsedTime(begun));
            }
        }
        var verdict = hub.Router.VerdictOn(listener.Name, Target);
        if (tap is { AtRest: true } && verdict is not (SessionVerdict.Stay or SessionVerdict.Hold))
        {
            // It goes elsewhere, or it ends as a session does whose member is not the right one any more.
            Interlocked.CompareExchange(ref _stop, Order(SessionEnd.CutAtRest, atRest: true), s_held);
            return RelayEnd.Stopped;
        }
        if (Interlocked.CompareExchange(ref _stop, 0, s_held) != s_held)
        {
            return RelayEnd.Stopped;   // it was told something sharper meanwhile
        }
        if (isServerHeard && (MayMove || IsCarried))
        {
            // Its server may have ended it. What is there is judged before anything of the client's goes there.
            return await IsServerOverAsync() ? RelayEnd.ServerClosed : RelayEnd.Withheld;
        }
        return RelayEnd.Held;
    }

    // True: the server has said something, or has ended.
    private async ValueTask<bool> WaitAsync(IntentHold hold, bool isServerHeard)
    {
        var limit = hub.Router.HoldLeft(hold, listener.Name);
        using var heard = new CancellationTokenSource();
        var listening = isServerHeard ? Task.CompletedTask : HearAsync(heard);
        await ClientWatch.WhileStayingAsync(
            client,
            async gone =>
            {
                await hold.Ended.WaitAsync(limit > TimeSpan.Zero ? limit : TimeSpan.Zero, hub.Time, gone)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return true;
            },
            static _ => { });
        await new LoopSwitch(client);
        if (!listening.IsCompleted)
        {
            Server.Input.CancelPendingRead();
        }
        await listening;
        await new LoopSwitch(client);
        return heard.IsCancellationRequested;
    }

    private async Task HearAsync(CancellationTokenSource heard)
    {
        try
        {
            var result = await Server.Input.ReadAsync();
            Server.Input.AdvanceTo(result.Buffer.Start, result.Buffer.Start);
            if (result.IsCompleted || !result.Buffer.IsEmpty)
            {
                await heard.CancelAsync();
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            await heard.CancelAsync();
        }
    }

    private async ValueTask<bool> IsServerOverAsync()
    {
        try
        {
            var result = await Server.Input.ReadAsync();
            Server.Input.AdvanceTo(result.Buffer.Start, result.Buffer.Start);
            return result.Buffer.IsEmpty;
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            return true;
        }
    }
}
