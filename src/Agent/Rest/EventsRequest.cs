using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Routing.Agent.Config;
using Routing.Agent.Events;
using Routing.Cluster.Events;

namespace Routing.Agent.Rest;

/// <summary><c>GET /events</c>: the diary since a number, as JSON or as a stream of server-sent events.</summary>
/// <param name="control">The agent.</param>
/// <param name="events">Its diary.</param>
/// <param name="time">The clock.</param>
internal sealed class EventsRequest(IAgentControl control, AgentEvents events, TimeProvider time) : IDisposable
{
    /// <summary>So many streams are open at a time; each costs a connection.</summary>
    public const int MostStreams = 32;

    private const string StreamType = "text/event-stream";
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(60);

    /// <summary>A comment as often as this tells a reader that the agent is there.</summary>
    private static readonly TimeSpan s_beat = TimeSpan.FromSeconds(10);

    /// <summary>A reader that takes nothing for so long is cut off.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private CancellationTokenSource _ending = new();
    private int _streams;

    /// <summary>Streams that are open now.</summary>
    public int Streams => Volatile.Read(ref _streams);

    /// <summary>Ends every stream; readers come back by themselves.</summary>
    public void EndStreams()
    {
        lock (_lock)
        {
            _ending.Cancel();
            _ending.Dispose();
            _ending = new CancellationTokenSource();
        }
    }

    public void Dispose() => _ending.Dispose();

    /// <summary>Answers one request.</summary>
    public Task AnswerAsync(HttpContext context, RestSettings settings)
    {
        CancellationToken ending;
        lock (_lock)
        {
            ending = _ending.Token;
        }
        return context.Request.Headers.Accept.ToString().Contains(StreamType, StringComparison.OrdinalIgnoreCase)
            ? StreamAsync(context, settings, ending)
            : ListAsync(context, settings, ending);
    }

    /// <summary>
    /// The events as one document; <c>wait</c> (seconds) waits for the next one when there is none yet.
    /// </summary>
    private async Task ListAsync(HttpContext context, RestSettings settings, CancellationToken ending)
    {
        var since = Since(context);
        var wait = TimeSpan.FromSeconds(
            Math.Clamp(Number(context.Request.Query["wait"].ToString()) ?? 0, 0, (long)s_longestWait.TotalSeconds));
        if (wait > TimeSpan.Zero)
        {
            using var patience = new CancellationTokenSource(wait, time);
            using var either =
                CancellationTokenSource.CreateLinkedTokenSource(patience.Token, context.RequestAborted, ending);
            try
            {
                await events.WaitAsync(since, either.Token);
            }
            catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
            {
                // Nothing happened meanwhile: an empty list says so.
            }
        }
        var (known, first, last) = events.Page(since);
        await context.JsonAsync(settings, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteString("member", control.Status.Name);
            json.WriteNumber("first", first);
            json.WriteNumber("last", known.Count > 0 ? known[^1].Id : last);
            json.WriteStartArray("events");
            foreach (var item in known)
            {
                ClusterEventJson.Write(json, item);
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private async Task StreamAsync(HttpContext context, RestSettings settings, CancellationToken ending)
    {
        if (Interlocked.Increment(ref _streams) > MostStreams)
        {
            Interlocked.Decrement(ref _streams);
            await context.ErrorAsync(settings, StatusCodes.Status503ServiceUnavailable,
                $"{MostStreams} streams of events are open, which is as many as there may be.");
            return;
        }
        try
        {
            using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, ending);
            await StreamAsync(context, settings, Since(context), end.Token);
        }
        catch (OperationCanceledException)
        {
            // The reader went away or was cut off, or the listener closes: the answer has no end of its own.
        }
        finally
        {
            Interlocked.Decrement(ref _streams);
        }
    }

    private async Task StreamAsync(
        HttpContext context, RestSettings settings, long since, CancellationToken cancellationToken)
    {
        context.Begin(settings, StatusCodes.Status200OK, StreamType);
        context.Response.Headers.CacheControl = "no-cache";
        context.Response.Headers["X-Accel-Buffering"] = "no";   // what nginx has to be told
        var text = new StringBuilder("retry: 2000\n\n");
        while (true)
        {
            foreach (var item in events.After(since))
            {
                text.Append(CultureInfo.InvariantCulture, $"id: {item.Id}\ndata: {ClusterEventJson.Line(item)}\n\n");
                since = item.Id;
            }
            await WriteAsync(context, text.Length > 0 ? text.ToString() : ": beat\n\n", cancellationToken);
            text.Clear();
            using var beat = new CancellationTokenSource(s_beat, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(beat.Token, cancellationToken);
            try
            {
                await events.WaitAsync(since, either.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // Nothing happened: a comment goes out instead.
            }
        }
    }

    private async Task WriteAsync(HttpContext context, string text, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(s_patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text), either.Token);
            await context.Response.Body.FlushAsync(either.Token);
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested)
        {
            context.Abort();
            throw;
        }
    }

    /// <summary>The number that the reader has seen last: of its stream before, or as it says.</summary>
    private static long Since(HttpContext context) =>
        Number(context.Request.Headers["Last-Event-ID"].ToString())
        ?? Number(context.Request.Query["since"].ToString())
        ?? Number(context.Request.Query["after"].ToString())
        ?? 0;

    private static long? Number(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
