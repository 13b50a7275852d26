using System.Globalization;
using System.Net;
using System.Text;
using System.Threading.Channels;
using Routing.TestKit;

namespace Routing.Cli.Tests;

/// <summary>An agent's diary, on a free port: a document, and a stream for those that ask for one.</summary>
internal sealed class EventStub : IAsyncDisposable
{
    private readonly HttpListener _listener = new();
    private readonly string _member;
    private readonly Lock _lock = new();
    private readonly List<(int Id, string Json)> _events = [];
    private readonly CancellationTokenSource _end = new();
    private readonly List<Task> _answers = [];
    private readonly Task _serving;
    private Channel<bool> _more = Channel.CreateUnbounded<bool>();
    private CancellationTokenSource _cut = new();

    public EventStub(string member)
    {
        _member = member;
        ApiUrl = $"http://127.0.0.1:{FreePorts.Take()}/";
        _listener.Prefixes.Add(ApiUrl);
        _listener.Start();
        _serving = ServeAsync();
    }

    public string ApiUrl { get; }

    /// <summary>The numbers with which streams were asked for.</summary>
    public List<string> Asked { get; } = [];

    /// <summary>Adds an event, also to the open stream.</summary>
    public void Tell(int id, string time, string kind, string code, string text, string more = "") =>
        Told(id, time, kind, code, text, 812, 4, more);

    /// <summary>The same, in a term and on a timeline.</summary>
    public void Told(
        int id, string time, string kind, string code, string text, int term, int timeline, string more = "")
    {
        lock (_lock)
        {
            _events.Add((id, $$"""
                {"id":{{id}},"time":"{{time}}","member":"{{_member}}","kind":"{{kind}}","code":"{{code}}",
                """ + $$"""
                "text":"{{text}}","term":{{term}},"timeline":{{timeline}}{{more}}}
                """));
            _more.Writer.TryWrite(true);
        }
    }

    /// <summary>Ends the open streams; the reader comes back.</summary>
    public void CutStreams()
    {
        lock (_lock)
        {
            _cut.Cancel();
            _cut = new CancellationTokenSource();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Close();
        await _serving;
        await Task.WhenAll(_answers);
        _end.Dispose();
        _cut.Dispose();
    }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            try
            {
                _answers.Add(AnswerAsync(await _listener.GetContextAsync()));
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        try
        {
            if (context.Request.Headers["Accept"] == "text/event-stream")
            {
                await StreamAsync(context);
            }
            else
            {
                context.Response.ContentType = "application/json";
                var events = string.Join(',', Since(0).Select(one => one.Json));
                await WriteAsync(context, $$"""{"member":"{{_member}}","events":[{{events}}]}""");
            }
            context.Response.Close();
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or OperationCanceledException
            or InvalidOperationException)
        {
            context.Response.Abort();   // the reader went away, or the test is over
        }
    }

    private async Task StreamAsync(HttpListenerContext context)
    {
        CancellationToken cut;
        lock (_lock)
        {
            cut = _cut.Token;
            Asked.Add(context.Request.Headers["Last-Event-ID"] ?? "");
            _more = Channel.CreateUnbounded<bool>();
        }
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cut, _end.Token);
        context.Response.ContentType = "text/event-stream";
        context.Response.SendChunked = true;
        var since = int.Parse(Asked[^1], CultureInfo.InvariantCulture);
        await WriteAsync(context, "retry: 2000\n\n");
        while (true)
        {
            foreach (var (id, json) in Since(since))
            {
                await WriteAsync(context, $"id: {id}\ndata: {json}\n\n");
                since = id;
            }
            await _more.Reader.ReadAsync(either.Token);
        }
    }

    private List<(int Id, string Json)> Since(int since)
    {
        lock (_lock)
        {
            return [.. _events.Where(one => one.Id > since)];
        }
    }

    private static async Task WriteAsync(HttpListenerContext context, string text)
    {
        await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(text));
        await context.Response.OutputStream.FlushAsync();
    }
}
