using System.Buffers;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>What a server meant by words that were withheld from the client of a session at rest.</summary>
internal enum WordsMeaning
{
    /// <summary>Nothing that lets the session move: they are for the client.</summary>
    Others,

    /// <summary>
    /// 57P01: the server stops, or an administrator has ended this very session (<c>pg_terminate_backend</c>).
    /// </summary>
    Terminated,

    /// <summary>The server has crashed, is stopped at once, or has lost its postmaster.</summary>
    Crashed,
}

/// <summary>Reads words that were withheld, and leaves them where they are. On the connection's loop.</summary>
internal static class WithheldWords
{
    private const int Longest = 64 * 1024;

    /// <summary>Reads them.</summary>
    /// <param name="server">The server's connection; the words are the first in its input.</param>
    /// <param name="patience">For the rest of them, and for the end behind a warning.</param>
    /// <param name="time">The clock.</param>
    public static async ValueTask<WordsMeaning> ReadAsync(
        ITransportConnection server, TimeSpan patience, TimeProvider time)
    {
        using var limit = new CancellationTokenSource(patience, time);
        var isWarned = false;
        try
        {
            while (true)
            {
                var result = await server.Input.ReadAsync(limit.Token);
                var meaning = Judge(result.Buffer, result.IsCompleted, out isWarned);
                server.Input.AdvanceTo(result.Buffer.Start, meaning is null ? result.Buffer.End : result.Buffer.Start);
                if (meaning is { } known)
                {
                    return known;
                }
            }
        }
        catch (OperationCanceledException)
        {
            return WordsMeaning.Others;
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            return isWarned ? WordsMeaning.Crashed : WordsMeaning.Others;
        }
    }

    /// <summary>What the bytes of a server mean; null: more of them are needed.</summary>
    /// <param name="words">The bytes from a message's beginning on.</param>
    /// <param name="isOver">Nothing comes behind them.</param>
    /// <param name="isWarned">They are warnings that the server is about to end, and nothing else so far.</param>
    internal static WordsMeaning? Judge(ReadOnlySequence<byte> words, bool isOver, out bool isWarned)
    {
        isWarned = false;
        while (ServerMessage.Peek(words) is var message)
        {
            if (message.State != ServerMessageState.Whole)
            {
                return message.State == ServerMessageState.Broken || message.Length > Longest ? WordsMeaning.Others
                    : !isOver ? null
                    : isWarned && words.IsEmpty ? WordsMeaning.Crashed
                    : WordsMeaning.Others;
            }
            var body = message.Body(words);
            var code = ErrorResponse.FieldOf(body, 'C');
            if (message.Type == MessageType.ErrorResponse)
            {
                return code switch
                {
                    SqlState.CrashShutdown => WordsMeaning.Crashed,
                    // said by the code that waits for the client, when it finds the postmaster gone
                    SqlState.AdminShutdown when ErrorResponse.FieldOf(body, 'F') == "be-secure.c" =>
                        WordsMeaning.Crashed,
                    SqlState.AdminShutdown => WordsMeaning.Terminated,
                    _ => WordsMeaning.Others,
                };
            }
            if (message.Type != MessageType.NoticeResponse
                || code is not (SqlState.CrashShutdown or SqlState.AdminShutdown))
            {
                return WordsMeaning.Others;
            }
            isWarned = true;   // an immediate stop: the end follows without another word
            words = words.Slice(message.Length);
        }
        return null;
    }
}
