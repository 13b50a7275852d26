using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Tests.Transport;

/// <summary>The relay over pipes, at moments that no socket can be made to meet.</summary>
public sealed class PipeRelayTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    /// <summary>
    /// The client hears that its session has ended: a statement that came a moment ago must not be run after that.
    /// </summary>
    [Fact]
    public async Task What_comes_while_a_session_is_seen_at_rest_is_not_passed_on()
    {
        var (client, server) = (new PipedConnection(), new PipedConnection());
        var tap = new RestingTap();
        var relay = new PipeRelay(client, server, tap, TimeProvider.System);
        var ended = relay.RunAsync();
        tap.Looked = () =>
        {
            // Seen at rest; and a statement comes, and waits until this look is over.
            var contentions = Monitor.LockContentionCount;
            var sending = Task.Run(async () => await client.FromPeer.Writer.WriteAsync("INSERT"u8.ToArray()));
            SpinWait.SpinUntil(
                () => sending.IsCompleted && Monitor.LockContentionCount > contentions, TimeSpan.FromSeconds(5));
        };

        relay.StopAtRest(s_limit);

        Assert.Equal(RelayEnd.Stopped, await ended.AsTask().WaitAsync(s_limit, TestContext.Current.CancellationToken));
        Assert.Equal((0, 0L), (tap.Statements, server.ToPeer.Writer.UnflushedBytes));
        Assert.False(server.ToPeer.Reader.TryRead(out _));
        Assert.True(client.FromPeer.Reader.TryRead(out var left));
        Assert.Equal("INSERT"u8.ToArray(), left.Buffer.ToArray());
    }

    /// <summary>Is at rest until a statement comes.</summary>
    private sealed class RestingTap : RelayTap
    {
        public Action? Looked { get; set; }

        public int Statements { get; private set; }

        public override bool ClientAtBoundary => true;

        public override bool AtRest
        {
            get
            {
                var isAtRest = Statements == 0;
                var looked = Looked;
                Looked = null;
                looked?.Invoke();
                return isAtRest;
            }
        }

        public override void FromClient(ReadOnlySpan<byte> bytes) => Statements++;

        public override int FromServer(ReadOnlySpan<byte> bytes) => bytes.Length;
    }

    /// <summary>A connection whose peer is the test.</summary>
    private sealed class PipedConnection : ITransportConnection
    {
        private static readonly PipeOptions s_options = new(useSynchronizationContext: false);

        public Pipe FromPeer { get; } = new(s_options);

        public Pipe ToPeer { get; } = new(s_options);

        public PipeReader Input => FromPeer.Reader;

        public PipeWriter Output => ToPeer.Writer;

        public EndPoint? RemoteEndPoint => null;

        public EndPoint? LocalEndPoint => null;

        public int Loop => 0;

        public void Tune(SocketTuning options)
        {
        }

        public void Post(Action<object?> action, object? state) => action(state);

        public void Abort()
        {
        }

        public ValueTask EndSendingAsync() => ValueTask.CompletedTask;

        public ValueTask EndAsync(TimeSpan linger) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
