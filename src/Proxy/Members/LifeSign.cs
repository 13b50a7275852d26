using System.Buffers;
using System.Net.Sockets;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Members;

/// <summary>
/// Asks a member's server for a sign of life, without credentials and without a line in the server's log.
/// </summary>
/// <remarks>
/// The question is a GSSENCRequest, which a postmaster answers before it looks at a login. A server whose logins are
/// slow (a slow directory, a loaded machine) answers it; a frozen one does not, although its kernel accepts
/// connections.
/// </remarks>
internal sealed class LifeSign(ITransport transport, TimeProvider time)
{
    private readonly Dictionary<string, Question> _questions = new(StringComparer.Ordinal);

    /// <summary>
    /// Asks, or shares the question that another session has asked within the last half of <paramref name="patience"/>.
    /// </summary>
    /// <param name="target">The member.</param>
    /// <param name="header">The PROXY header that it expects.</param>
    /// <param name="patience">The longest wait for the answer.</param>
    /// <returns>Whether there was an answer. Never faults.</returns>
    public Task<bool> ShareAsync(RouteTarget target, ProxyProtocolVersion header, TimeSpan patience)
    {
        lock (_questions)
        {
            if (!_questions.TryGetValue(target.Member, out var known)
                || (known.Answer.IsCompleted && time.GetElapsedTime(known.AskedAt) >= patience / 2))
            {
                known = new(time.GetTimestamp(), AskAsync(target, header, patience, CancellationToken.None));
                _questions[target.Member] = known;
            }
            return known.Answer;
        }
    }

    /// <summary>Asks once.</summary>
    /// <returns>
    /// Whether there was an answer; a refusal and a reset are answers, too: the machine lives. Never faults.
    /// </returns>
    public async Task<bool> AskAsync(
        RouteTarget target, ProxyProtocolVersion header, TimeSpan patience, CancellationToken cancellationToken)
    {
        using var over = new CancellationTokenSource(patience, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, over.Token);
        try
        {
            var server = await Dialer.DialAsync(transport, target, null, SocketTuning.None, time, limit.Token);
            await using var abort =
                limit.Token.UnsafeRegister(static state => ((ITransportConnection)state!).Abort(), server);
            await new LoopSwitch(server);
            try
            {
                await ExchangeAsync(server, header);
            }
            finally
            {
                await server.DisposeAsync();
            }
        }
        catch (SocketException unreachable) when (unreachable.SocketErrorCode
            is SocketError.TimedOut or SocketError.HostUnreachable or SocketError.NetworkUnreachable)
        {
            return false;
        }
        catch (Exception error) when (error
            is IOException or SocketException or ObjectDisposedException or InvalidOperationException
                or OperationCanceledException)
        {
            // The member refused or reset the connection, or the patience was over: that is told apart below.
        }
        return !limit.IsCancellationRequested;
    }

    private static async ValueTask ExchangeAsync(ITransportConnection server, ProxyProtocolVersion header)
    {
        if (header != ProxyProtocolVersion.None)
        {
            server.Output.Write(ProxyHeader.Write(header, null, null));
        }
        server.Output.Write(FirstPacket.GssEncRequest);
        await server.Output.FlushAsync();
        _ = await server.Input.ReadAsync();   // a byte, or the end: both are signs of life
    }

    /// <summary>A question and its answer, once it is there.</summary>
    private sealed record Question(long AskedAt, Task<bool> Answer);
}
