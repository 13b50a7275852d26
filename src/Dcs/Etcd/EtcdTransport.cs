using System.Net.Security;
using System.Net.Sockets;
using Grpc.Net.Client;

namespace Routing.Dcs.Etcd;

/// <summary>Opens channels: TLS, time-outs, keep-alive.</summary>
/// <remarks>
/// A dead connection is found by the deadline of each call and by the watch's sign of life. There are no pings beside
/// them: etcd refuses those that come more often than every 5 s, so they could only be slower, and they wake an idle
/// client.
/// </remarks>
internal sealed class EtcdTransport(EtcdOptions options)
{
    private static readonly TimeSpan s_connectTimeout = TimeSpan.FromSeconds(1);
    private const int LongestAnswer = 256 * 1024 * 1024;

    private readonly Lazy<(string Digest, SslClientAuthenticationOptions Ssl)> _files = new(() =>
        // The digest first: of a file that is replaced in between the next reload sees that it has changed.
        (TlsFiles.Digest(options.CaFile, options.CertificateFile, options.KeyFile),
            TlsFiles.Read(options.CaFile, options.CertificateFile, options.KeyFile)));

    /// <summary>Reads the certificate files now instead of with the first connection.</summary>
    /// <exception cref="ClusterStoreException">A file can't be used; it says which.</exception>
    public void Read() => _ = _files.Value;

    /// <summary>Whether the other one, which was read, has the same certificates.</summary>
    public bool HasSameFiles(EtcdTransport read) =>
        _files.IsValueCreated && _files.Value.Digest == read._files.Value.Digest;

    public GrpcChannel Open(Uri address)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = s_connectTimeout,
            EnableMultipleHttp2Connections = true,
            UseProxy = false,
            // With a callback of our own the channel connects for each call that needs it, at once; without one the
            // channel would wait out its own growing pauses after a failure.
            ConnectCallback = ConnectAsync,
        };
        if (address.Scheme == Uri.UriSchemeHttps)
        {
            handler.SslOptions = _files.Value.Ssl;
        }
        return GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = LongestAnswer,
        });
    }

    private static async ValueTask<Stream> ConnectAsync(
        SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
