using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Routing.TestKit;

/// <summary>A relay before a server that can swallow what the server says, or cut everybody off.</summary>
public sealed class TcpRelay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<Task> _pumps = [];
    private readonly List<TcpClient> _connections = [];
    private readonly Uri _target;
    private readonly Task _accepting;
    private bool _swallowsAnswers;
    private bool _refuses;
    private long _swallowed;

    /// <summary>Begins to listen on a free port.</summary>
    /// <param name="target">The server, on 127.0.0.1.</param>
    public TcpRelay(Uri target)
    {
        _target = target;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>Where clients connect to.</summary>
    public Uri Endpoint => new($"{_target.Scheme}://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    /// <summary>While true what the server says does not come back; what clients say still arrives.</summary>
    public bool SwallowsAnswers
    {
        get => Volatile.Read(ref _swallowsAnswers);
        set => Volatile.Write(ref _swallowsAnswers, value);
    }

    /// <summary>Begins to swallow answers when a client says this.</summary>
    public string? SwallowsFrom { get; set; }

    /// <summary>While true new connections are closed at once.</summary>
    public bool Refuses
    {
        get => Volatile.Read(ref _refuses);
        set => Volatile.Write(ref _refuses, value);
    }

    /// <summary>Bytes of answers that were swallowed.</summary>
    public long Swallowed => Interlocked.Read(ref _swallowed);

    /// <summary>Ends all connections and takes no new ones.</summary>
    public void Cut()
    {
        Refuses = true;
        lock (_gate)
        {
            _connections.ForEach(connection => connection.Close());
            _connections.Clear();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        Cut();
        await _accepting;
        await Task.WhenAll(_pumps);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                if (Refuses)
                {
                    client.Close();
                    continue;
                }
                var server = new TcpClient();
                lock (_gate)
                {
                    _connections.AddRange([client, server]);
                    _pumps.Add(JoinAsync(client, server));
                }
            }
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // closed
        }
    }

    private async Task JoinAsync(TcpClient client, TcpClient server)
    {
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, _target.Port, _stop.Token);
            await Task.WhenAny(PumpAsync(client, server, mayBeSwallowed: false),
                PumpAsync(server, client, mayBeSwallowed: true));
        }
        catch (Exception end) when (end is IOException or SocketException or ObjectDisposedException
            or OperationCanceledException)
        {
            // one side is gone: so is the other
        }
        client.Close();
        server.Close();
    }

    private async Task PumpAsync(TcpClient from, TcpClient to, bool mayBeSwallowed)
    {
        try
        {
            var buffer = new byte[16 * 1024];
            var (source, sink) = (from.GetStream(), to.GetStream());
            while (await source.ReadAsync(buffer, _stop.Token) is > 0 and var count)
            {
                if (!mayBeSwallowed && SwallowsFrom is { } word
                    && buffer.AsSpan(0, count).IndexOf(Encoding.UTF8.GetBytes(word)) >= 0)
                {
                    SwallowsAnswers = true;
                }
                if (mayBeSwallowed && SwallowsAnswers)
                {
                    Interlocked.Add(ref _swallowed, count);
                }
                else
                {
                    await sink.WriteAsync(buffer.AsMemory(0, count), _stop.Token);
                }
            }
        }
        catch (Exception end) when (end is IOException or SocketException or ObjectDisposedException
            or OperationCanceledException)
        {
            // one side is gone: so is the other
        }
    }
}
