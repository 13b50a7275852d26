using System.Net;
using System.Text;
using Routing.TestKit;

namespace Routing.Cli.Tests;

/// <summary>Answers as a member's REST API would, on a free port.</summary>
internal sealed class RestStub : IAsyncDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Func<Call, (int Status, string Text)> _answer;
    private readonly Task _serving;

    private RestStub(Func<Call, (int Status, string Text)> answer)
    {
        _answer = answer;
        Address = $"http://127.0.0.1:{FreePorts.Take()}";
        _listener.Prefixes.Add(Address + "/");
        _listener.Start();
        _serving = ServeAsync();
    }

    public string Address { get; }

    public string ApiUrl => Address + "/patroni";

    public List<Call> Calls { get; } = [];

    public static RestStub Start(Func<Call, (int Status, string Text)> answer) => new(answer);

    public static RestStub Start(int status, string text) => new(_ => (status, text));

    public async ValueTask DisposeAsync()
    {
        _listener.Close();
        await _serving;
    }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
            using var reader = new StreamReader(context.Request.InputStream);
            var call = new Call(
                $"{context.Request.HttpMethod} {context.Request.Url!.AbsolutePath}",
                await reader.ReadToEndAsync(),
                context.Request.Headers["Authorization"]);
            Calls.Add(call);
            var (status, text) = _answer(call);
            context.Response.StatusCode = status;
            var bytes = Encoding.UTF8.GetBytes(text);
            await context.Response.OutputStream.WriteAsync(bytes);
            context.Response.Close();
        }
    }

    internal sealed record Call(string Line, string Body, string? Authorization);
}
