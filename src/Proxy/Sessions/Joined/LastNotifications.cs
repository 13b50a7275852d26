using System.Buffers;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>Passes on what a server has still told a session that listens, before the session leaves it.</summary>
/// <remarks>
/// A server that lives is asked for its ReadyForQuery, ahead of which it tells every notification that it knows; one
/// that is gone has told them ahead of the end of its stream.
/// </remarks>
/// <param name="server">The server's connection: it stands between two messages.</param>
/// <param name="client">The client's, likewise.</param>
internal sealed class LastNotifications(ITransportConnection server, ITransportConnection client)
{
    /// <summary>A changed parameter was among them.</summary>
    public bool HasParameters { get; private set; }

    /// <summary>Passes them on. On the session's loop.</summary>
    /// <param name="patience">For a server that says nothing.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="IOException">The client went away.</exception>
    public async ValueTask PassAsync(TimeSpan patience, TimeProvider time)
    {
        using var limit = new CancellationTokenSource(patience, time);
        try
        {
            ClientMessage.WriteSync(server.Output);
            await server.Output.FlushAsync(limit.Token);
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            // It is gone, and what it has said before may be there all the same.
        }
        try
        {
            var isEnd = false;
            while (!isEnd)
            {
                await new LoopSwitch(client);
                var result = await server.Input.ReadAsync(limit.Token);
                await new LoopSwitch(client);
                var rest = result.Buffer;
                isEnd = Pass(ref rest) || result.IsCompleted;
                server.Input.AdvanceTo(rest.Start, isEnd ? rest.Start : rest.End);
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            // It is gone, or says no more.
        }
        await new LoopSwitch(client);
        await client.Output.FlushAsync(CancellationToken.None);
    }

    // True: what comes next is no notification.
    private bool Pass(ref ReadOnlySequence<byte> rest)
    {
        while (ServerMessage.Peek(rest) is { State: ServerMessageState.Whole } message)
        {
            if (message.Type is not (MessageType.Notification or MessageType.ParameterStatus))
            {
                return true;
            }
            HasParameters |= message.Type == MessageType.ParameterStatus;
            client.Output.Write(rest.Slice(0, message.Length).ToArray());
            rest = rest.Slice(message.Length);
        }
        return ServerMessage.Peek(rest).State == ServerMessageState.Broken;
    }
}
