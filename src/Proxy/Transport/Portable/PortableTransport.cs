using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Transport.Portable;

/// <summary>
/// The transport on .NET's own sockets and Pipelines.Sockets.Unofficial: for where the kernel refuses the others.
/// </summary>
internal sealed partial class PortableTransport(TimeProvider time, ILogger logger) : ITransport
{
    private readonly TimeProvider _time = time;
    private readonly ILogger _logger = logger;

    /// <inheritdoc/>
    public string Name => "portable";

    /// <inheritdoc/>
    public int Loops => 1;

    /// <inheritdoc/>
    public ITransportListener Listen(Socket listening, Action<ITransportConnection> accepted) =>
        new Listener(this, listening, accepted);

    /// <inheritdoc/>
    public async ValueTask<ITransportConnection> ConnectAsync(
        EndPoint address, ITransportConnection? beside, SocketTuning options, CancellationToken cancellationToken)
    {
        var isUnix = address.AddressFamily == AddressFamily.Unix;
        var socket =
            new Socket(address.AddressFamily, SocketType.Stream, isUnix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(address, cancellationToken);
            var connection = new PortableConnection(socket, _time);
            connection.Tune(options);
            return connection;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public IRelay Join(ITransportConnection client, ITransportConnection server, RelayTap? tap) =>
        new PipeRelay(client, server, tap, _time);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [LoggerMessage(EventId = 6104, Level = LogLevel.Error, Message = "Accepting pauses: {Problem}")]
    private partial void LogPause(string problem);

    private sealed class Listener : ITransportListener
    {
        private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

        private readonly PortableTransport _transport;
        private readonly Socket _socket;
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;
        private volatile bool _leavesQueue;

        public Listener(PortableTransport transport, Socket socket, Action<ITransportConnection> accepted)
        {
            (_transport, _socket) = (transport, socket);
            LocalEndPoint = socket.LocalEndPoint!;
            _running = Task.Run(() => RunAsync(accepted));
        }

        public EndPoint LocalEndPoint { get; }

        public async ValueTask StopAsync(bool leavesQueue = false)
        {
            _leavesQueue = leavesQueue;
            await _stop.CancelAsync();
            await _running;
            _socket.Dispose();
        }

        public ValueTask DisposeAsync() => StopAsync();

        private async Task RunAsync(Action<ITransportConnection> accepted)
        {
            while (true)
            {
                try
                {
                    // Told to stop, it accepts the connections that are in the queue already, and then ends.
                    if (_stop.IsCancellationRequested && (_leavesQueue || !_socket.Poll(0, SelectMode.SelectRead)))
                    {
                        return;
                    }
                    var socket = await _socket.AcceptAsync(
                        _stop.IsCancellationRequested ? CancellationToken.None : _stop.Token);
                    accepted(new PortableConnection(socket, _transport._time));
                }
                catch (OperationCanceledException)
                {
                    // stopping: once more around, for the queue
                }
                catch (SocketException error)
                {
                    _transport.LogPause(error.Message);
                    await Task.Delay(s_pause, _transport._time, CancellationToken.None);
                }
            }
        }
    }
}
