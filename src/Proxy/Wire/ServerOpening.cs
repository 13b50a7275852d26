using System.Buffers;

namespace Routing.Proxy.Wire;

/// <summary>What a server's answer to a start-up message comes to, while the client has seen nothing of it.</summary>
internal enum ServerOpeningKind
{
    /// <summary>More bytes are needed.</summary>
    Incomplete,

    /// <summary>
    /// It asks something (a password …), or welcomes the client and has the right role: relay it from now on.
    /// </summary>
    Relay,

    /// <summary>It welcomes the client but says that it is in recovery, where the primary was wanted.</summary>
    Standby,

    /// <summary>It refuses; <see cref="ServerOpening.Error"/> tells how.</summary>
    Refused,

    /// <summary>The server does not speak PostgreSQL's protocol.</summary>
    NotPostgres,
}

/// <summary>
/// Reads ahead in a server's first answer, so that a failed attempt can be repeated elsewhere unseen.
/// </summary>
/// <remarks>
/// The server sends the end of a successful authentication, the parameters and ReadyForQuery in one go, so reading on
/// to <c>in_hot_standby</c> costs no round trip. NegotiateProtocolVersion comes ahead of errors such as 57P03 and is
/// held back with them.
/// </remarks>
/// <param name="Kind">What it comes to.</param>
/// <param name="Error">With <see cref="ServerOpeningKind.Refused"/>: what the error means.</param>
internal readonly record struct ServerOpening(ServerOpeningKind Kind, StartupErrorKind Error = StartupErrorKind.Final)
{
    /// <summary>An answer longer than this is relayed without reading on.</summary>
    public const int Window = 32 * 1024;

    /// <summary>Reads what there is. Never throws.</summary>
    /// <param name="buffer">The server's bytes from a message's beginning on; nothing of it was relayed.</param>
    /// <param name="mustBePrimary">Whether its role matters.</param>
    public static ServerOpening Read(ReadOnlySequence<byte> buffer, bool mustBePrimary)
    {
        var incomplete =
            new ServerOpening(buffer.Length < Window ? ServerOpeningKind.Incomplete : ServerOpeningKind.Relay);
        var isWelcome = false;
        while (true)
        {
            var message = ServerMessage.Peek(buffer);
            switch (message.State)
            {
                case ServerMessageState.NoHeader when !buffer.IsEmpty && !isWelcome && !CanOpen(buffer.FirstSpan[0]):
                case ServerMessageState.Broken:
                    return new(ServerOpeningKind.NotPostgres);
                case ServerMessageState.NoHeader:
                    return incomplete;
            }
            if (!isWelcome && !CanOpen(message.Type))
            {
                return new(ServerOpeningKind.NotPostgres);
            }
            if (message.State == ServerMessageState.Partial)
            {
                return message.Length <= Window ? incomplete : new(ServerOpeningKind.Relay);
            }
            if (Judge(message, message.Body(buffer), mustBePrimary, ref isWelcome) is { } opening)
            {
                return opening;
            }
            buffer = buffer.Slice(message.Length);
        }
    }

    private static ServerOpening? Judge(
        ServerMessage message, ReadOnlySpan<byte> body, bool mustBePrimary, ref bool isWelcome)
    {
        switch (message.Type)
        {
            case MessageType.ErrorResponse:
                return new(ServerOpeningKind.Refused, ErrorResponse.KindOf(body));
            case MessageType.Authentication when !isWelcome && LoginMessages.IsAuthenticationOk(body):
                isWelcome = true;
                return null;
            case MessageType.ParameterStatus when mustBePrimary:
                return !LoginMessages.TryReadInHotStandby(body, out var inHotStandby) ? null
                    : new(inHotStandby ? ServerOpeningKind.Standby : ServerOpeningKind.Relay);
            case MessageType.NegotiateProtocolVersion:
            case MessageType.NoticeResponse:
                return null;
            default:
                return new(ServerOpeningKind.Relay);
        }
    }

    private static bool CanOpen(byte type) => type is MessageType.Authentication or MessageType.ErrorResponse
        or MessageType.NegotiateProtocolVersion or MessageType.NoticeResponse;
}
