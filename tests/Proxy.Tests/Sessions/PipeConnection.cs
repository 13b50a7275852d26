using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>A connection without a socket: a test holds its other end.</summary>
internal sealed class PipeConnection : ITransportConnection
{
    private readonly Pipe _toProxy = new();
    private readonly Pipe _fromProxy = new();

    public EndPoint? RemoteEndPoint => new IPEndPoint(IPAddress.Loopback, 40_000);

    public EndPoint? LocalEndPoint => new IPEndPoint(IPAddress.Loopback, 5000);

    public int Loop => 0;

    public PipeReader Input => _toProxy.Reader;

    public PipeWriter Output => _fromProxy.Writer;

    public bool IsAborted { get; private set; }

    /// <summary>The peer sends.</summary>
    public async Task SendAsync(params byte[][] packets) =>
        await _toProxy.Writer.WriteAsync(packets.SelectMany(one => one).ToArray());

    /// <summary>The peer ends its stream.</summary>
    public void End() => _toProxy.Writer.Complete();

    /// <summary>All that the proxy has sent to the peer and that was not taken yet.</summary>
    public byte[] Sent()
    {
        if (!_fromProxy.Reader.TryRead(out var read))
        {
            return [];
        }
        var bytes = read.Buffer.ToArray();
        _fromProxy.Reader.AdvanceTo(read.Buffer.End);
        return bytes;
    }

    public void Tune(SocketTuning options)
    {
    }

    public void Post(Action<object?> action, object? state) =>
        ThreadPool.UnsafeQueueUserWorkItem(static work => work.action(work.state), (action, state), preferLocal: false);

    public void Abort()
    {
        IsAborted = true;
        _toProxy.Writer.Complete(new SocketException((int)SocketError.ConnectionAborted));
    }

    public async ValueTask EndSendingAsync() => await Output.FlushAsync();

    public async ValueTask EndAsync(TimeSpan linger) => await Output.FlushAsync();

    public ValueTask DisposeAsync()
    {
        Abort();
        return ValueTask.CompletedTask;
    }
}
