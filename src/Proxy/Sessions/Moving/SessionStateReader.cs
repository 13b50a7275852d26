using System.Buffers;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Moving;

/// <summary>Asks a session at rest, on its own connection, what it holds. On its loop.</summary>
internal static class SessionStateReader
{
    /// <summary>Asks. Never throws for what a server does.</summary>
    /// <param name="session">The session; what its server says unasked meanwhile is written for its client.</param>
    /// <param name="server">Its server's connection: nothing of it is half read or half sent.</param>
    /// <param name="endsTransaction">A failed transaction is open, and is ended first.</param>
    /// <param name="hub">What all sessions share.</param>
    /// <exception cref="IOException">The client went away.</exception>
    public static async ValueTask<StateAnswer> AskAsync(
        MovingSession session, ITransportConnection server, bool endsTransaction, SessionHub hub)
    {
        var dialogue = new OwnDialogue(server, StateQuestion.Longest);
        using var limit = new CancellationTokenSource(hub.Settings.StateTimeout, hub.Time);
        try
        {
            if (endsTransaction)
            {
                ClientMessage.WriteQuery(server.Output, "ROLLBACK"u8);
            }
            if (!endsTransaction || await dialogue.RunAsync(limit.Token))
            {
                await new LoopSwitch(server);
                StateQuestion.Write(server.Output);
                await dialogue.RunAsync(limit.Token);
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error) || error is OperationCanceledException)
        {
            // Not ready: told below.
        }
        await new LoopSwitch(session.Client);
        foreach (var message in dialogue.Parameters.Concat(dialogue.Notifications))
        {
            session.Client.Output.Write(message);
        }
        await session.Client.Output.FlushAsync(CancellationToken.None);
        var state = dialogue is { IsReady: true, Error: null }
            && StartupMessage.TryRead(session.Login.Packet, out var startup, out _)
                ? StateQuestion.Read(dialogue.Rows, startup!.User)
                : null;
        return new StateAnswer(state, dialogue.IsReady, dialogue.Parameters.Count > 0);
    }
}
