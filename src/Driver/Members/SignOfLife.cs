using System.Net.Sockets;
using Routing.Cluster;

namespace Routing.Driver.Members;

/// <summary>Whether a member answers at all: tells one that is silent from one whose logins are slow.</summary>
/// <remarks>
/// The question is PostgreSQL's own for TLS, which every server answers with one byte before any login. All attempts at
/// one member share one question at a time, so that many of them add no load.
/// </remarks>
internal sealed class SignOfLife(HostPort address, TimeProvider time)
{
    // Length 8, code 1234.5679.
    private static readonly byte[] s_question = [0, 0, 0, 8, 4, 210, 22, 47];

    private readonly Lock _gate = new();
    private Task<bool>? _asked;
    private long _askedAt;

    /// <summary>
    /// Asks, or takes part in a question that is under way, or takes an answer of life that is younger than the limit.
    /// </summary>
    /// <param name="limit">The longest wait for the answer.</param>
    /// <returns>Whether the member has answered.</returns>
    public Task<bool> AskAsync(TimeSpan limit)
    {
        lock (_gate)
        {
            if (_asked is null || (_asked.IsCompleted && !(_asked.Result && time.GetElapsedTime(_askedAt) < limit)))
            {
                _askedAt = time.GetTimestamp();
                _asked = QuestionAsync(limit);
            }
            return _asked;
        }
    }

    private async Task<bool> QuestionAsync(TimeSpan limit)
    {
        using var end = new CancellationTokenSource(limit, time);
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(address.Host, address.Port, end.Token).ConfigureAwait(false);
            var stream = client.GetStream();
            await stream.WriteAsync(s_question, end.Token).ConfigureAwait(false);
            return await stream.ReadAsync(new byte[1], end.Token).ConfigureAwait(false) > 0;
        }
        catch (Exception problem) when (problem is OperationCanceledException or SocketException or IOException)
        {
            return false;
        }
    }
}
