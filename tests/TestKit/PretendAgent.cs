using System.Net;
using System.Text;

namespace Routing.TestKit;

/// <summary>An agent's REST that answers every request with one document.</summary>
public sealed class PretendAgent : IDisposable
{
    private readonly HttpListener _listener = new();
    private int _asked;

    /// <summary>Begins to listen.</summary>
    public PretendAgent()
    {
        _listener.Prefixes.Add($"http://127.0.0.1:{Port}/");
        _listener.Start();
        _ = ServeAsync();
    }

    /// <summary>Its port.</summary>
    public int Port { get; } = FreePorts.Take();

    /// <summary>Its address.</summary>
    public Uri Address => new($"http://127.0.0.1:{Port}");

    /// <summary>What it answers; null: nothing, ever.</summary>
    public string? Document { get; set; } = "";

    /// <summary>How often it was asked.</summary>
    public int Asked => Volatile.Read(ref _asked);

    /// <summary>A member of such a document.</summary>
    public string Member(string name, string role, string state, int timeline) => $$"""
        {"name":"{{name}}","role":"{{role}}","state":"{{state}}","api_url":"http://127.0.0.1:{{Port}}/patroni","host":"127.0.0.1","port":5432,"timeline":{{timeline}}}
        """;

    /// <summary>Refuses connections from now on.</summary>
    public void Dispose() => _listener.Close();

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                await AnswerAsync(await _listener.GetContextAsync());
            }
        }
        catch (Exception over) when (over is HttpListenerException or ObjectDisposedException
            or InvalidOperationException)
        {
            // closed
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        Interlocked.Increment(ref _asked);
        if (Document is not { } document)
        {
            return;
        }
        try
        {
            using var response = context.Response;
            await response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(document));
        }
        catch (Exception gone) when (gone is HttpListenerException or ObjectDisposedException
            or InvalidOperationException or IOException)
        {
            // who asked waits no longer; the next may
        }
    }
}
