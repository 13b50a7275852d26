using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using Routing.Proxy.Host;
using Routing.Proxy.Transport;
using Routing.Proxy.Transport.Loops;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Transport;

/// <summary>What every transport promises.</summary>
public abstract partial class TransportContract : IAsyncLifetime
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private readonly List<ITransportListener> _listeners = [];
    private ITransport _transport = null!;

    protected abstract string Name { get; }

    private protected virtual Favor Favors => Favor.Latency;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _transport =
            TransportFactory.Create(Name, 2, Favors, TimeProvider.System, NullLogger.Instance, out var fallback);
        Assert.Null(fallback);
        Assert.Equal(Name, _transport.Name);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach (var listener in _listeners)
        {
            await listener.StopAsync();
        }
        await _transport.DisposeAsync();
    }

    [Fact]
    public async Task Bytes_go_both_ways_and_an_end_is_an_end()
    {
        await using var relay = await RelayAsync(null);

        await relay.Client.SendAsync("question"u8.ToArray(), Cancellation);
        var question = await ReadAsync(relay.Server, 8);
        await relay.Server.SendAsync("answer"u8.ToArray(), Cancellation);
        var answer = await ReadAsync(relay.Client, 6);
        relay.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal(
            0, await relay.Server.ReceiveAsync(new byte[1], Cancellation).AsTask().WaitAsync(s_limit, Cancellation));
        relay.Server.Shutdown(SocketShutdown.Send);
        var end = await relay.Ended.WaitAsync(s_limit, Cancellation);

        Assert.Equal("question"u8.ToArray(), question);
        Assert.Equal("answer"u8.ToArray(), answer);
        Assert.Equal(RelayEnd.ClientClosed, end);
        Assert.Equal((8L, 6L), (relay.Relay.FromClient, relay.Relay.FromServer));
    }

    [Fact]
    public async Task A_client_that_has_sent_its_last_byte_still_gets_its_answers()
    {
        await using var relay = await RelayAsync(null);
        var questions = RandomNumberGenerator.GetBytes(3_000_000);   // more than the kernel takes at once
        var answers = RandomNumberGenerator.GetBytes(3_000_000);

        var sending = SendAllAsync(relay.Client, questions);
        var asked = await ReadAsync(relay.Server, questions.Length);
        await sending;
        relay.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal(
            0, await relay.Server.ReceiveAsync(new byte[1], Cancellation).AsTask().WaitAsync(s_limit, Cancellation));
        var answering = SendAllAsync(relay.Server, answers);
        var answered = await ReadAsync(relay.Client, answers.Length);
        await answering;
        relay.Server.Shutdown(SocketShutdown.Send);

        Assert.Equal(RelayEnd.ClientClosed, await relay.Ended.WaitAsync(s_limit, Cancellation));
        Assert.Equal(questions, asked);
        Assert.Equal(answers, answered);
    }

    [Fact]
    public async Task An_end_that_comes_with_unsent_bytes_is_passed_on_behind_them()
    {
        await using var relay = await RelayAsync(null);
        var questions = RandomNumberGenerator.GetBytes(3_000_000);

        var sending = SendAllAsync(relay.Client, questions);
        await WaitUntil.TrueAsync(() => relay.Relay.FromClient > 0);   // the server does not read yet
        var asking = ReadAsync(relay.Server, questions.Length);
        await sending;
        relay.Client.Shutdown(SocketShutdown.Send);

        Assert.Equal(questions, await asking);
        Assert.Equal(
            0, await relay.Server.ReceiveAsync(new byte[1], Cancellation).AsTask().WaitAsync(s_limit, Cancellation));
        relay.Server.Shutdown(SocketShutdown.Both);
        Assert.Equal(RelayEnd.ClientClosed, await relay.Ended.WaitAsync(s_limit, Cancellation));
    }

    [Fact]
    public async Task What_a_server_sent_ahead_of_its_end_is_delivered()
    {
        await using var relay = await RelayAsync(null);
        var bytes = RandomNumberGenerator.GetBytes(3_000_000);

        var reading = ReadAsync(relay.Client, bytes.Length);
        await relay.Server.SendAsync(bytes, Cancellation);
        relay.Server.Shutdown(SocketShutdown.Send);

        Assert.Equal(bytes, await reading.WaitAsync(s_limit, Cancellation));
        Assert.Equal(RelayEnd.ServerClosed, await relay.Ended.WaitAsync(s_limit, Cancellation));
    }

    [Fact]
    public async Task A_reset_of_either_side_is_told_apart()
    {
        await using (var relay = await RelayAsync(null))
        {
            Reset(relay.Client);
            Assert.Equal(RelayEnd.ClientBroke, await relay.Ended.WaitAsync(s_limit, Cancellation));
        }
        await using (var relay = await RelayAsync(null))
        {
            Reset(relay.Server);
            Assert.Equal(RelayEnd.ServerBroke, await relay.Ended.WaitAsync(s_limit, Cancellation));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Both_directions_at_once_lose_and_mix_nothing(bool isWatched)
    {
        var tap = isWatched ? new CountingTap() : null;
        await using var relay = await RelayAsync(tap);
        var up = RandomNumberGenerator.GetBytes(40_000_000);
        var down = RandomNumberGenerator.GetBytes(40_000_000);

        var sent = Task.WhenAll(SendAllAsync(relay.Client, up), SendAllAsync(relay.Server, down));
        var received = await Task.WhenAll(ReadAsync(relay.Server, up.Length), ReadAsync(relay.Client, down.Length))
            .WaitAsync(s_limit, Cancellation);
        await sent;

        Assert.True(received[0].AsSpan().SequenceEqual(up));
        Assert.True(received[1].AsSpan().SequenceEqual(down));
        Assert.Equal((up.Length, down.Length), (tap?.Up ?? up.Length, tap?.Down ?? down.Length));
    }

    [Fact]
    public async Task A_reader_that_rests_stops_its_writer_and_loses_nothing()
    {
        await using var relay = await RelayAsync(null);
        var bytes = RandomNumberGenerator.GetBytes(64_000_000);

        var sending = SendAllAsync(relay.Server, bytes);
        // With nobody reading, the kernel's buffers fill and the sender stands still.
        var before = -1L;
        await WaitUntil.TrueAsync(() =>
        {
            var now = relay.Relay.FromServer;
            var stands = now > 0 && now == before;
            before = now;
            return stands;
        });
        Assert.False(sending.IsCompleted);
        await relay.Client.SendAsync("still heard"u8.ToArray(), Cancellation);   // the other way stays open
        Assert.Equal("still heard"u8.ToArray(), await ReadAsync(relay.Server, 11));

        Assert.True((await ReadAsync(relay.Client, bytes.Length)).AsSpan().SequenceEqual(bytes));
        await sending;
    }

    [Fact]
    public async Task What_comes_last_in_a_flood_is_not_held_back()
    {
        await using var relay = await RelayAsync(null);
        foreach (var length in new[] { 30_000_000, 1, 400_001, 7, 5_000_003 })
        {
            var bytes = RandomNumberGenerator.GetBytes(length);

            var reading = ReadAsync(relay.Client, length);
            await SendAllAsync(relay.Server, bytes);   // and nothing behind it

            Assert.True((await reading.WaitAsync(s_limit, Cancellation)).AsSpan().SequenceEqual(bytes));
        }
    }

    [Fact]
    public async Task Small_messages_for_a_reader_that_rests_keep_their_order()
    {
        const int Length = 3_000;
        await using var relay = await RelayAsync(null);
        var bytes = RandomNumberGenerator.GetBytes(4_000 * Length);
        var sent = 0;

        // One message after another as it is taken, until the relay takes no more, and some behind that.
        while (sent < bytes.Length - (100 * Length) && await IsTakenAsync(sent))
        {
            await relay.Server.SendAsync(bytes.AsMemory(sent, Length), Cancellation);
            sent += Length;
        }
        var sending = SendAllAsync(relay.Server, bytes.AsMemory(sent, 100 * Length));

        Assert.True((await ReadAsync(relay.Client, sent + (100 * Length))).AsSpan()
            .SequenceEqual(bytes.AsSpan(0, sent + (100 * Length))));
        await sending;

        async Task<bool> IsTakenAsync(long count)
        {
            var begun = Stopwatch.GetTimestamp();
            while (relay.Relay.FromServer < count)
            {
                if (Stopwatch.GetElapsedTime(begun) > TimeSpan.FromMilliseconds(300))
                {
                    return false;
                }
                await Task.Yield();
            }
            return true;
        }
    }

    [Fact]
    public async Task Hundreds_of_messages_at_one_moment_all_arrive()
    {
        const int Count = 700;
        using var echo = new EchoServer();
        using var held = new ManualResetEventSlim();
        var before = OpenDescriptors();
        var connections = new ConcurrentQueue<ITransportConnection>();
        var port = Listen(client =>
        {
            connections.Enqueue(client);
            _ = JoinAsync(client, echo.Address);
        });
        var clients = Enumerable.Range(0, Count).Select(_ => Connect(port)).ToList();
        foreach (var client in clients)
        {
            await client.SendAsync("1"u8.ToArray(), Cancellation);
            Assert.Equal("1"u8.ToArray(), await ReadAsync(client, 1));
        }

        // The loops stand still until all have been sent.
        foreach (var connection in connections.DistinctBy(one => one.Loop))
        {
            connection.Post(_ => held.Wait(s_limit), null);
        }
        foreach (var client in clients)
        {
            await client.SendAsync("23"u8.ToArray(), Cancellation);
        }
        held.Set();

        foreach (var client in clients)
        {
            Assert.Equal("23"u8.ToArray(), await ReadAsync(client, 2));
            client.Dispose();
        }
        await WaitUntil.TrueAsync(() => OpenDescriptors() <= before + 10);
    }

    [Fact]
    public async Task Bytes_that_wait_in_the_pipes_are_relayed_first()
    {
        await using var relay = await RelayAsync(null, "ahead "u8.ToArray(), "before "u8.ToArray());

        await relay.Client.SendAsync("of all"u8.ToArray(), Cancellation);
        await relay.Server.SendAsync("the rest"u8.ToArray(), Cancellation);

        Assert.Equal("ahead of all"u8.ToArray(), await ReadAsync(relay.Server, 12));
        Assert.Equal("before the rest"u8.ToArray(), await ReadAsync(relay.Client, 15));
    }

    [Fact]
    public async Task A_stop_waits_for_the_end_of_a_message_and_gives_the_client_back()
    {
        var tap = new CountingTap { MessageLength = 100 };
        await using var relay = await RelayAsync(tap);
        await relay.Server.SendAsync(new byte[130], Cancellation);
        _ = await ReadAsync(relay.Client, 130);

        relay.Relay.StopAtBoundary(s_limit);
        await relay.Client.SendAsync("not read any more"u8.ToArray(), Cancellation);
        await relay.Server.SendAsync(new byte[70], Cancellation);

        Assert.Equal(RelayEnd.Stopped, await relay.Ended.WaitAsync(s_limit, Cancellation));
        Assert.Equal(200, tap.Down);
        _ = await ReadAsync(relay.Client, 70);
        await OnLoopAsync(relay.ClientSide, async () =>
        {
            relay.ClientSide.Output.Write("farewell"u8);
            await relay.ClientSide.EndAsync(s_limit);
        }, wait: false);
        Assert.Equal("farewell"u8.ToArray(), await ReadAsync(relay.Client, 8));
    }

    [Fact]
    public async Task A_stop_without_a_boundary_ends_with_its_grace()
    {
        var tap = new CountingTap { MessageLength = 100 };
        await using var relay = await RelayAsync(tap);
        await relay.Server.SendAsync(new byte[130], Cancellation);
        _ = await ReadAsync(relay.Client, 130);

        relay.Relay.StopAtBoundary(TimeSpan.FromMilliseconds(50));

        Assert.Equal(RelayEnd.Stopped, await relay.Ended.WaitAsync(s_limit, Cancellation));
        Assert.False(tap.ClientAtBoundary);
    }

    /// <summary>A relay cancels reads when it ends, also where nobody reads at that moment.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_last_message_reaches_a_peer_that_keeps_sending(bool wasReadCancelled)
    {
        var accepted =
            new TaskCompletionSource<ITransportConnection>(TaskCreationOptions.RunContinuationsAsynchronously);
        var port = Listen(accepted.SetResult);
        using var peer = Connect(port);
        var connection = await accepted.Task.WaitAsync(s_limit, Cancellation);
        await peer.SendAsync(new byte[100_000], Cancellation);

        await OnLoopAsync(connection, async () =>
        {
            if (wasReadCancelled)
            {
                connection.Input.CancelPendingRead();
                connection.Output.CancelPendingFlush();
            }
            connection.Output.Write("goodbye"u8);
            await connection.EndAsync(s_limit);
        }, wait: false);

        Assert.Equal("goodbye"u8.ToArray(), await ReadAsync(peer, 7));
        Assert.Equal(0, await peer.ReceiveAsync(new byte[1], Cancellation));
        // It is closed, and so reset, only when the peer has ended, too.
        Assert.Equal(1, await peer.SendAsync(new byte[1], Cancellation));
        Assert.Equal(1, await peer.SendAsync(new byte[1], Cancellation));
    }

    /// <summary>
    /// Timers and other threads may be late: what they wake is closed, and its number may be somebody else's.
    /// </summary>
    [Fact]
    public async Task What_is_posted_to_a_transport_that_has_ended_is_written_nowhere()
    {
        var transport =
            TransportFactory.Create(Name, 1, Favors, TimeProvider.System, NullLogger.Instance, out _);
        using var far = NewListener();
        var connection =
            await transport.ConnectAsync(far.LocalEndPoint!, null, SocketTuning.None, Cancellation);
        await transport.DisposeAsync();
        const int Flags = Kernel.EFD_CLOEXEC | Kernel.EFD_NONBLOCK;
        var others =
            Enumerable.Range(0, 32).Select(_ => new SafeFileHandle(Kernel.EventFd(0, Flags), true)).ToList();

        connection.Post(static _ => { }, null);

        Assert.All(others, static other => Assert.Matches(
            @"eventfd-count:\s+0\b", File.ReadAllText($"/proc/self/fdinfo/{other.DangerousGetHandle()}")));
        others.ForEach(static other => other.Dispose());
    }

    [Fact]
    public async Task A_connection_that_is_refused_or_given_up_is_an_error_and_leaves_nothing_behind()
    {
        var before = OpenDescriptors();

        var refused = await Assert.ThrowsAnyAsync<SocketException>(
            async () => await _transport.ConnectAsync(
                new IPEndPoint(IPAddress.Loopback, FreePorts.Take()), null, SocketTuning.None, Cancellation));
        using var full = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);   // its queue of one takes the first; further ones stay unanswered
        using var only = Connect(((IPEndPoint)full.LocalEndPoint!).Port);
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        var attempts = Enumerable.Range(0, 8).Select(async _ =>
        {
            try
            {
                await using var connection =
                    await _transport.ConnectAsync(full.LocalEndPoint!, null, SocketTuning.None, limit.Token);
                return true;
            }
            catch (OperationCanceledException)
            {
                return false;
            }
        });

        Assert.Contains(false, await Task.WhenAll(attempts));
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
        full.Dispose();
        only.Dispose();
        await WaitUntil.TrueAsync(() => OpenDescriptors() <= before + 1);
    }

    [Fact]
    public async Task Thousands_of_short_connections_neither_mix_nor_leak()
    {
        using var echo = new EchoServer();
        var before = OpenDescriptors();
        var port = Listen(client => _ = JoinAsync(client, echo.Address));

        await Parallel.ForEachAsync(
            Enumerable.Range(0, 4_000),
            new ParallelOptions { MaxDegreeOfParallelism = 32, CancellationToken = Cancellation },
            async (number, token) =>
            {
                using var client = Connect(port);
                var pattern = BitConverter.GetBytes(number * 2_654_435_769L);
                await client.SendAsync(pattern, token);
                Assert.Equal(pattern, await ReadAsync(client, pattern.Length));
                if (number % 3 == 0)
                {
                    Reset(client);
                }
            });

        await WaitUntil.TrueAsync(() => OpenDescriptors() <= before + 10);
    }

    [Fact]
    public async Task A_listener_that_stops_loses_nobody_in_its_queue()
    {
        var count = 0;
        var listener = new TaskCompletionSource<ITransportListener>();
        var socket = NewListener();
        var port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        var clients = Enumerable.Range(0, 50).Select(_ => Connect(port)).ToList();
        var accepting = _transport.Listen(socket, connection =>
        {
            Interlocked.Increment(ref count);
            _ = connection.EndAsync(TimeSpan.Zero).AsTask();
        });
        listener.SetResult(accepting);

        await accepting.StopAsync();

        await WaitUntil.TrueAsync(() => Volatile.Read(ref count) == clients.Count);
        Assert.Throws<SocketException>(() => Connect(port));
        clients.ForEach(client => client.Dispose());
    }

    /// <summary>
    /// Who comes between the last look at the queue and the end is let in while the listener is released.
    /// </summary>
    [Fact]
    public async Task A_client_that_comes_while_a_listener_is_released_is_let_in_and_disturbs_nothing()
    {
        var count = 0;
        var socket = NewListener();
        var port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        var accepting = _transport.Listen(socket, async connection =>
        {
            Interlocked.Increment(ref count);
            _ = await connection.Input.ReadAsync();   // it is watched from here on
            await connection.EndAsync(TimeSpan.Zero);
        });
        using var first = Connect(port);
        await first.SendAsync(new byte[1], Cancellation);
        await WaitUntil.TrueAsync(() => Volatile.Read(ref count) == 1);
        if (accepting is LoopSource { Owner: var loop })
        {
            var late = new TaskCompletionSource<Socket>(TaskCreationOptions.RunContinuationsAsynchronously);
            loop.Post(
                _ =>
                {
                    _ = accepting.StopAsync().AsTask();
                    // right behind the stop; the release comes between two later turns
                    loop.Post(_ => late.SetResult(Connect(port)), null);
                },
                null);
            using var second = await late.Task.WaitAsync(s_limit, Cancellation);
            await WaitUntil.TrueAsync(() => Volatile.Read(ref count) == 2);
            await second.SendAsync(new byte[1], Cancellation);
            Assert.Equal(0, await second.ReceiveAsync(new byte[1], Cancellation));
        }
        await accepting.StopAsync();

        await using var relay = await RelayAsync(null);
        await relay.Client.SendAsync("all is well"u8.ToArray(), Cancellation);
        Assert.Equal("all is well"u8.ToArray(), await ReadAsync(relay.Server, 11));
    }

    [Fact]
    public async Task A_listener_that_leaves_its_queue_loses_nobody_to_whom_the_next_one_listens()
    {
        var count = 0;
        var socket = NewListener();
        // as a service manager does
        var held = new Socket(new SafeSocketHandle(dup((int)socket.SafeHandle.DangerousGetHandle()), ownsHandle: true));
        var port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        var clients = Enumerable.Range(0, 50).Select(_ => Connect(port)).ToList();

        await _transport.Listen(socket, Count).StopAsync(leavesQueue: true);
        clients.Add(Connect(port));
        var next = _transport.Listen(held, Count);

        await WaitUntil.TrueAsync(() => Volatile.Read(ref count) == clients.Count);
        foreach (var client in clients)
        {
            Assert.Equal(0, await client.ReceiveAsync(new byte[1], Cancellation));
            client.Dispose();
        }
        await next.StopAsync();

        void Count(ITransportConnection connection)
        {
            Interlocked.Increment(ref count);
            _ = connection.EndAsync(TimeSpan.Zero).AsTask();
        }
    }

    [Fact]
    public async Task A_Unix_domain_socket_serves_as_well()
    {
        using var directory = new TempDirectory("unix");
        var path = directory["s"];
        using var echo = new EchoServer();
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        socket.Listen(10);
        _listeners.Add(_transport.Listen(socket, client => _ = JoinAsync(client, echo.Address)));

        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(path), Cancellation);
        await client.SendAsync("over a file"u8.ToArray(), Cancellation);

        Assert.Equal("over a file"u8.ToArray(), await ReadAsync(client, 11));
    }

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int dup(int descriptor);

    // Sockets alone: an assembly that is loaded meanwhile stays open.
    private static int OpenDescriptors() => Directory.GetFiles("/proc/self/fd")
        .Count(path =>
            new FileInfo(path).LinkTarget is { } target && target.StartsWith("socket:", StringComparison.Ordinal));

    private static void Reset(Socket socket)
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Close();
    }

    private static Socket NewListener()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen(1024);
        return socket;
    }

    private static Socket Connect(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.Connect(IPAddress.Loopback, port);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes, Cancellation)..];
        }
    }

    private static async Task<byte[]> ReadAsync(Socket socket, int length)
    {
        var bytes = new byte[length];
        using var limit = new CancellationTokenSource(s_limit, TimeProvider.System);
        for (var at = 0; at < length;)
        {
            var count = await socket.ReceiveAsync(bytes.AsMemory(at), limit.Token);
            Assert.NotEqual(0, count);
            at += count;
        }
        return bytes;
    }

    private static async Task OnLoopAsync(ITransportConnection connection, Func<ValueTask> work, bool wait)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        connection.Post(
            async _ =>
            {
                try
                {
                    await work();
                    done.SetResult();
                }
                catch (Exception error)
                {
                    done.SetException(error);
                }
            },
            null);
        if (wait)
        {
            await done.Task.WaitAsync(s_limit, Cancellation);
        }
    }

    private int Listen(Action<ITransportConnection> accepted)
    {
        var socket = NewListener();
        var port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        _listeners.Add(_transport.Listen(socket, accepted));
        return port;
    }

    private async Task JoinAsync(ITransportConnection client, EndPoint target)
    {
        try
        {
            var server = await _transport.ConnectAsync(target, client, SocketTuning.None, CancellationToken.None);
            _ = await _transport.Join(client, server, null).RunAsync();
            await server.DisposeAsync();
        }
        finally
        {
            await client.DisposeAsync();
        }
    }

    private async Task<JoinedPair> RelayAsync(RelayTap? tap, byte[]? fromClient = null, byte[]? fromServer = null)
    {
        var far = NewListener();
        var joined = new TaskCompletionSource<JoinedPair>(TaskCreationOptions.RunContinuationsAsynchronously);
        var serverSocket = far.AcceptAsync();
        var port = Listen(async client =>
        {
            var server =
                await _transport.ConnectAsync(far.LocalEndPoint!, client, SocketTuning.None, CancellationToken.None);
            await PeekAsync(client, fromClient?.Length ?? 0);
            await PeekAsync(server, fromServer?.Length ?? 0);
            var relay = _transport.Join(client, server, tap);
            var pair = new JoinedPair(relay, client, server, tap);
            var running = relay.RunAsync();
            pair.Ended = running.AsTask();
            joined.SetResult(pair);
        });
        var clientSocket = Connect(port);
        await clientSocket.SendAsync(fromClient ?? [], Cancellation);
        var accepted = await serverSocket.WaitAsync(s_limit, Cancellation);
        accepted.NoDelay = true;
        await accepted.SendAsync(fromServer ?? [], Cancellation);
        far.Dispose();
        var result = await joined.Task.WaitAsync(s_limit, Cancellation);
        (result.Client, result.Server) = (clientSocket, accepted);
        return result;

        // Waits until the bytes are in the pipe, and leaves them there.
        static async Task PeekAsync(ITransportConnection connection, int length)
        {
            while (length > 0)
            {
                var read = await connection.Input.ReadAsync();
                var isThere = read.Buffer.Length >= length;
                connection.Input.AdvanceTo(read.Buffer.Start, isThere ? read.Buffer.Start : read.Buffer.End);
                if (isThere)
                {
                    return;
                }
            }
        }
    }

    private sealed class JoinedPair(
        IRelay relay, ITransportConnection clientSide, ITransportConnection serverSide, RelayTap? tap)
        : IAsyncDisposable
    {
        public IRelay Relay { get; set; } = relay;

        public RelayTap? Tap => tap;

        public ITransportConnection ClientSide => clientSide;

        public ITransportConnection ServerSide { get; set; } = serverSide;

        public Task<RelayEnd> Ended { get; set; } = null!;

        public Socket Client { get; set; } = null!;

        public Socket Server { get; set; } = null!;

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            Server.Dispose();
            await clientSide.DisposeAsync();
            await ServerSide.DisposeAsync();
        }
    }

    /// <summary>Counts, and takes every so many bytes of the server for a message.</summary>
    private sealed class CountingTap : RelayTap
    {
        public int MessageLength { get; init; } = 1;

        public int Up { get; private set; }

        public int Down { get; private set; }

        public override bool ClientAtBoundary => Down % MessageLength == 0;

        public override bool AtRest => ClientAtBoundary;

        public override void FromClient(ReadOnlySpan<byte> bytes) => Up += bytes.Length;

        /// <summary>From this byte of the server on nothing passes.</summary>
        public int WithholdsFrom { get; set; } = int.MaxValue;

        public override int FromServer(ReadOnlySpan<byte> bytes)
        {
            var passed = Math.Min(bytes.Length, WithholdsFrom - Down);
            Down += passed;
            return passed;
        }
    }

    /// <summary>Says everything back.</summary>
    private sealed class EchoServer : IDisposable
    {
        private readonly Socket _socket = NewListener();

        public EchoServer() => _ = RunAsync();

        public EndPoint Address => _socket.LocalEndPoint!;

        public void Dispose() => _socket.Dispose();

        private async Task RunAsync()
        {
            try
            {
                while (true)
                {
                    _ = EchoAsync(await _socket.AcceptAsync());
                }
            }
            catch (Exception over) when (over is SocketException or ObjectDisposedException)
            {
                // disposed of
            }
        }

        private static async Task EchoAsync(Socket peer)
        {
            using (peer)
            {
                var buffer = new byte[4096];
                try
                {
                    while (await peer.ReceiveAsync(buffer) is > 0 and var count)
                    {
                        await SendAllAsync(peer, buffer.AsMemory(0, count));
                    }
                }
                catch (SocketException)
                {
                    // reset
                }
            }
        }
    }
}

/// <summary>The contract on io_uring; on a machine that refuses it, it fails.</summary>
public sealed class UringTransportTests : TransportContract
{
    protected override string Name => "io_uring";
}

/// <summary>The contract on io_uring where messages wait for each other.</summary>
public sealed class ThriftyUringTransportTests : TransportContract
{
    protected override string Name => "io_uring";

    private protected override Favor Favors => Favor.Throughput;
}

/// <summary>The contract on epoll.</summary>
public sealed class EpollTransportTests : TransportContract
{
    protected override string Name => "epoll";
}

/// <summary>The contract on Pipelines.Sockets.Unofficial.</summary>
public sealed class PortableTransportTests : TransportContract
{
    protected override string Name => "portable";
}
