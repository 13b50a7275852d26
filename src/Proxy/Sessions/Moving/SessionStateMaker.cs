using System.Buffers;
using System.Text;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Moving;

/// <summary>Makes what a session holds anew in the session that takes its place. On the connection's loop.</summary>
/// <remarks>
/// All in one transaction: the client's encoding first, for all that follows is in it; the role behind what the user
/// alone may set; the statements and channels as that role; and limits of time last, so that they do not end this.
/// </remarks>
/// <param name="server">The new server's connection: logged in, and ready.</param>
/// <param name="state">What is made.</param>
internal sealed class SessionStateMaker(ITransportConnection server, SessionState state)
{
    private const uint TextType = 25;

    private static ReadOnlySpan<byte> Own => StateQuestion.Name;

    private static ReadOnlySpan<byte> OwnCommand => "routing-proxy-command"u8;

    private readonly OwnDialogue _dialogue = new(server, 4 * StateQuestion.Longest);

    /// <summary>The parameters that have changed, whole messages in their order.</summary>
    public IReadOnlyList<byte[]> Parameters => _dialogue.Parameters;

    /// <summary>Notifications for the client that have come already.</summary>
    public IReadOnlyList<byte[]> Notifications => _dialogue.Notifications;

    /// <summary>The code of the server's error.</summary>
    public string? Code => _dialogue.Code;

    /// <summary>Makes it. Never throws for what a server does.</summary>
    public async ValueTask<StateMade> RunAsync()
    {
        try
        {
            Write(server.Output);
            return !await _dialogue.RunAsync(CancellationToken.None) ? StateMade.Lost
                : _dialogue.Error is null ? StateMade.Whole
                : StateMade.Refused;
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            return StateMade.Lost;
        }
    }

    private void Write(IBufferWriter<byte> output)
    {
        ClientMessage.WriteParse(output, Own, "SELECT pg_catalog.set_config($1, $2, false)"u8, [TextType, TextType]);
        foreach (var (name, value) in state.Settings.OrderBy(static one => RankOf(one.Name)))
        {
            if (!IsLimit(name))
            {
                ClientMessage.WriteRun(output, Own, name, value);
            }
        }
        ClientMessage.WriteRun(output, Own, "role"u8.ToArray(), state.Role);
        foreach (var statement in state.Statements)
        {
            if (statement.IsCommand)
            {
                WriteCommand(output, statement.Text);
            }
            else
            {
                ClientMessage.WriteParse(output, statement.Name, statement.Text, statement.Types);
            }
        }
        foreach (var channel in state.Channels)
        {
            WriteCommand(output, [.. "LISTEN "u8, .. channel]);
        }
        foreach (var (name, value) in state.Settings.Where(static one => IsLimit(one.Name)))
        {
            ClientMessage.WriteRun(output, Own, name, value);
        }
        ClientMessage.WriteClose(output, Own);
        ClientMessage.WriteSync(output);
    }

    // A text of several commands, as PREPARE may have come in, is refused by the server before any of it runs.
    private static void WriteCommand(IBufferWriter<byte> output, ReadOnlySpan<byte> text)
    {
        ClientMessage.WriteParse(output, OwnCommand, text, []);
        ClientMessage.WriteRun(output, OwnCommand);
        ClientMessage.WriteClose(output, OwnCommand);
    }

    private static int RankOf(byte[] name) => name.AsSpan().SequenceEqual("client_encoding"u8) ? 0 : 1;

    private static bool IsLimit(byte[] name) =>
        Encoding.ASCII.GetString(name) is var text && text.EndsWith("_timeout", StringComparison.Ordinal);
}

/// <summary>How making a state anew ended.</summary>
internal enum StateMade
{
    /// <summary>The session holds what the old one held.</summary>
    Whole,

    /// <summary>The server has refused a part of it.</summary>
    Refused,

    /// <summary>The connection ended, broke, or the server broke the protocol.</summary>
    Lost,
}
