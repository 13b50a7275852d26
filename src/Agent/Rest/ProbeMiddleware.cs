using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Routing.Agent.Status;

namespace Routing.Agent.Rest;

/// <summary>
/// Answers HEAD and OPTIONS before HTTP is spoken: with a status line, an empty line and the end of the connection.
/// </summary>
/// <remarks>
/// That is what load balancers' probes have always got here, whatever version of HTTP they claim and whatever headers
/// they leave out. No method but these two begins with an H or an O, so one byte tells whose connection it is.
/// </remarks>
internal sealed class ProbeMiddleware(IAgentControl control, TimeProvider time)
{
    private const int MaximumHeadBytes = 16 * 1024;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private static readonly byte[] s_yes = "HTTP/1.0 200 OK\r\n\r\n"u8.ToArray();
    private static readonly byte[] s_no = "HTTP/1.0 503 Service Unavailable\r\n\r\n"u8.ToArray();
    private static readonly byte[] s_malformed = "HTTP/1.0 400 Bad Request\r\n\r\n"u8.ToArray();

    public async Task HandleAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        using var patience = new CancellationTokenSource(s_patience, time);
        using var patienceOrEnd =
            CancellationTokenSource.CreateLinkedTokenSource(patience.Token, connection.ConnectionClosed);
        var input = connection.Transport.Input;
        try
        {
            var first = await input.ReadAsync(patienceOrEnd.Token);
            var isProbe = !first.Buffer.IsEmpty && first.Buffer.FirstSpan[0] is (byte)'H' or (byte)'O';
            var isOver = first.Buffer.IsEmpty && first.IsCompleted;
            input.AdvanceTo(first.Buffer.Start);   // looked, took nothing
            if (isOver)
            {
                return;   // connected and went away: a probe of the port alone
            }
            if (isProbe)
            {
                await AnswerAsync(connection.Transport, patienceOrEnd.Token);
                return;
            }
        }
        catch (OperationCanceledException)
        {
            return;   // said nothing for too long, or went away
        }
        await next(connection);
    }

    private async Task AnswerAsync(IDuplexPipe transport, CancellationToken cancellationToken)
    {
        var answer = s_malformed;
        while (true)
        {
            var read = await transport.Input.ReadAsync(cancellationToken);
            var head = read.Buffer;
            if (TryReadHead(head, out var line, out var end))
            {
                answer = Answer(line);
                transport.Input.AdvanceTo(end);
                break;
            }
            transport.Input.AdvanceTo(head.Start, head.End);
            if (read.IsCompleted || head.Length > MaximumHeadBytes)
            {
                break;
            }
        }
        await transport.Output.WriteAsync(answer, cancellationToken);
        await transport.Output.CompleteAsync();
    }

    private static bool TryReadHead(ReadOnlySequence<byte> buffer, out string line, out SequencePosition end)
    {
        line = "";
        var reader = new SequenceReader<byte>(buffer);
        while (reader.TryReadTo(out ReadOnlySequence<byte> text, (byte)'\n'))
        {
            var header = Encoding.Latin1.GetString(text).TrimEnd('\r');
            if (line.Length == 0)
            {
                line = header;
            }
            else if (header.Length == 0)
            {
                end = reader.Position;
                return true;
            }
        }
        end = buffer.Start;
        return false;
    }

    private byte[] Answer(string line)
    {
        var parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length != 3 || parts[0] is not ("HEAD" or "OPTIONS")
            || !parts[2].StartsWith("HTTP/1.", StringComparison.Ordinal))
        {
            return s_malformed;
        }
        // A proxy in between may name the whole URL.
        var target =
            parts[1].StartsWith("http", StringComparison.Ordinal)
                && Uri.TryCreate(parts[1], UriKind.Absolute, out var url)
            ? url.PathAndQuery
            : parts[1];
        var question = target.IndexOf('?', StringComparison.Ordinal);
        var path = question < 0 ? target : target[..question];
        var query = new QueryCollection(QueryHelpers.ParseQuery(question < 0 ? "" : target[question..]));
        return HealthCheck.Passes(new HealthView(control.Status, time), Uri.UnescapeDataString(path), query)
            ? s_yes
            : s_no;
    }
}
