using System.IO.Pipelines;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Tls;

/// <summary>A connection whose bytes are encrypted: the same interface over the one below.</summary>
internal sealed class TlsConnection : ITransportConnection
{
    private readonly ITransportConnection _below;
    private readonly SslStream _ssl;

    /// <summary>Takes over the connection; its pipes belong to TLS from now on.</summary>
    public TlsConnection(ITransportConnection below)
    {
        _below = below;
        _ssl = new SslStream(new PipeStream(below), leaveInnerStreamOpen: true);
        // Zero-byte reads: an idle session holds no buffer of ours.
        Input = PipeReader.Create(
            _ssl, new StreamPipeReaderOptions(bufferSize: 16 * 1024, leaveOpen: true, useZeroByteReads: true));
        Output = PipeWriter.Create(_ssl, new StreamPipeWriterOptions(leaveOpen: true));
    }

    /// <inheritdoc/>
    public PipeReader Input { get; }

    /// <inheritdoc/>
    public PipeWriter Output { get; }

    /// <inheritdoc/>
    public EndPoint? RemoteEndPoint => _below.RemoteEndPoint;

    /// <inheritdoc/>
    public EndPoint? LocalEndPoint => _below.LocalEndPoint;

    /// <inheritdoc/>
    public int Loop => _below.Loop;

    /// <summary>The connection below.</summary>
    public ITransportConnection Below => _below;

    /// <summary>Whether both agreed on the protocol that direct TLS demands.</summary>
    public bool IsPostgres => _ssl.NegotiatedApplicationProtocol == PostgresAlpn.Protocol;

    /// <summary>The server's part of the handshake.</summary>
    /// <exception cref="System.Security.Authentication.AuthenticationException">It failed.</exception>
    /// <exception cref="IOException">The connection ended.</exception>
    public Task AcceptAsync(SslServerAuthenticationOptions options) => _ssl.AuthenticateAsServerAsync(options);

    /// <summary>The client's part of the handshake.</summary>
    /// <exception cref="System.Security.Authentication.AuthenticationException">It failed.</exception>
    /// <exception cref="IOException">The connection ended.</exception>
    public Task ConnectAsync(SslClientAuthenticationOptions options) => _ssl.AuthenticateAsClientAsync(options);

    /// <inheritdoc/>
    public void Tune(SocketTuning options) => _below.Tune(options);

    /// <inheritdoc/>
    public void Post(Action<object?> action, object? state) => _below.Post(action, state);

    /// <inheritdoc/>
    public void Abort() => _below.Abort();

    /// <inheritdoc/>
    public async ValueTask EndSendingAsync()
    {
        await Output.FlushAsync();
        await _ssl.ShutdownAsync();
        await _below.EndSendingAsync();
    }

    /// <inheritdoc/>
    public async ValueTask EndAsync(TimeSpan linger)
    {
        try
        {
            await Output.FlushAsync();
            await _ssl.ShutdownAsync();   // the peer then knows that nothing was cut off
        }
        catch (Exception error) when (error is IOException or SocketException or InvalidOperationException
            or OperationCanceledException)
        {
            // The peer is gone already, or the handshake never ended: there is no TLS session to close.
        }
        await _below.EndAsync(linger);
        _ssl.Dispose();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _below.DisposeAsync();
        _ssl.Dispose();
    }
}
