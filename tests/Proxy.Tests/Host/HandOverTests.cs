using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Routing.Proxy.Sessions.Handing;
using Routing.Proxy.Takeover;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>
/// One process of the real program takes over from another, and sockets that somebody else has opened.
/// </summary>
[Trait("Category", "Integration")]
public sealed class HandOverTests(PretendCluster cluster) : IClassFixture<PretendCluster>
{
    // What systemd does: sockets from descriptor 3 on, told about by variables, in the program's own process. The
    // arguments are the names of the descriptors, their ports, "--", and the command.
    private const string Activate = """
        use Socket; $^F = 100; my $names = shift; my $at = 3; my @held;
        while (defined(my $port = shift)) {
            last if $port eq "--";
            socket(my $s, PF_INET, SOCK_STREAM, 0) or die; setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
            bind($s, sockaddr_in($port, INADDR_LOOPBACK)) or die; listen($s, 100) or die; push @held, $s;
            if (fileno($s) != $at) { require POSIX; POSIX::dup2(fileno($s), $at) or die; } $at++;
        }
        $ENV{LISTEN_FDS} = $at - 3; $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDNAMES} = $names;
        exec { $ARGV[0] } @ARGV;
        """;

    [Theory]
    [InlineData("routing-proxy.socket:routing-proxy.socket", false)]   // by order
    [InlineData("read:write", true)]                                     // by name
    [InlineData("read:unknown", true)]                                   // one by name, the other gets what is left
    public async Task Sockets_that_the_service_manager_has_opened_are_used(string names, bool isReadFirst)
    {
        var ports = FreePorts.Take(2);
        string[] numbers = [.. ports.Select(port => port.ToString(CultureInfo.InvariantCulture))];
        await using var proxy =
            await cluster.ProxyAsync(new ProxyOptions { Prefix = ["perl", "-e", Activate, names, .. numbers, "--"] });
        var (toLeader, toReplica) = (cluster.Leader.Logins, cluster.Replica.Logins);

        using var writer = new RawClient(ports[isReadFirst ? 1 : 0]);
        using var reader = new RawClient(ports[isReadFirst ? 0 : 1]);

        Assert.Null(await writer.LoginAsync());
        Assert.Null(await reader.LoginAsync());
        Assert.Equal((toLeader + 1, toReplica + 1), (cluster.Leader.Logins, cluster.Replica.Logins));
        Assert.Contains("a socket of the service manager", proxy.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_process_takes_over_and_no_client_is_refused()
    {
        // Without it the kernel resets whom it lets into the old queue between the last accept and the close; busy
        // machines widen that gap.
        var migrates =
            (await File.ReadAllTextAsync(
                "/proc/sys/net/ipv4/tcp_migrate_req", TestContext.Current.CancellationToken)).Trim() == "1";
        const string Shared = "reuse_port: true\ntimeouts: {drain: 2}";
        // The first statement behind a login has 200 ms. Whoever took longer, because a thread was suspended, may find
        // itself sent away.
        var settling = TimeSpan.FromMilliseconds(150);
        await using var old = await cluster.ProxyAsync(new ProxyOptions { More = Shared });
        using var isOver = new CancellationTokenSource();
        var (count, reset) = (0, 0);
        var clients = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!isOver.IsCancellationRequested)
            {
                var began = Stopwatch.GetTimestamp();
                using var client = await LoginAsync();
                if (client is null)
                {
                    Interlocked.Increment(ref reset);
                    continue;
                }
                await client.QueryAsync("select 1");
                if (await client.UntilReadyAsync() is { } error)
                {
                    var took = Stopwatch.GetElapsedTime(began);
                    Assert.True(error == "57P01" && took > settling, $"{error} after {took.TotalMilliseconds:0} ms");
                    continue;
                }
                await client.SendAsync(BackendMessage.Of('X'));
                Interlocked.Increment(ref count);
            }
        })).ToList();
        // also when something below fails: clients that find nobody take every descriptor
        await using var ending = new Ending(isOver, clients);
        await MoreAsync();

        await using var next =
            await cluster.ProxyAsync(new ProxyOptions { More = Shared, Beside = old, UntilReady = false });
        await next.UntilAsync(() => next.Log.Contains("The listener read accepts", StringComparison.Ordinal),
            "the next one listens");
        await MoreAsync();
        old.Send(ProcessSignal.Terminate);
        var code = await old.WaitForExitAsync();
        Assert.True(code == 0, $"exit code {code}\n{old.Log}");
        await MoreAsync();
        await isOver.CancelAsync();

        await Task.WhenAll(clients);   // nobody saw an error in a session
        Assert.InRange(reset, 0, migrates ? 0 : 2 * clients.Count);
        Assert.Equal((200, "ready\n"), await next.GetAsync("/readyz"));

        // Null: reset, which may come as early as the connection is made.
        async Task<RawClient?> LoginAsync()
        {
            RawClient? client = null;
            try
            {
                client = new RawClient(old.WritePort);
                if (await client.LoginAsync() is not { } refusal)
                {
                    return client;
                }
                Assert.Equal("end", refusal);
            }
            catch (Exception error) when (error is SocketException or IOException and not EndOfStreamException)
            {
                // reset
            }
            client?.Dispose();
            return null;
        }

        Task MoreAsync()
        {
            var seen = Volatile.Read(ref count);
            return WaitUntil.TrueAsync(
                () => clients.Exists(client => client.IsFaulted) || Volatile.Read(ref count) > seen + 200);
        }
    }

    [Fact]
    public async Task A_process_that_takes_over_gets_listeners_and_sessions_and_nobody_notices()
    {
        using var meeting = Meeting();
        var more = $"timeouts: {{drain: 2}}\ntake_over: {meeting["socket"]}";
        await using var first = await cluster.ProxyAsync(new ProxyOptions { More = more });
        using var session = new RawClient(first.WritePort);
        Assert.Null(await session.LoginAsync());
        using var isOver = new CancellationTokenSource();
        var count = 0;
        var clients = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!isOver.IsCancellationRequested)
            {
                using var client = new RawClient(first.WritePort);
                Assert.Null(await client.LoginAsync());
                await client.QueryAsync("select 1");
                Assert.Null(await client.UntilReadyAsync());
                await client.SendAsync(BackendMessage.Of('X'));
                Interlocked.Increment(ref count);
            }
        })).ToList();
        await using var ending = new Ending(isOver, clients);

        await using var second = await NextAsync(first);
        await using var third = await NextAsync(second);
        await isOver.CancelAsync();
        await Task.WhenAll(clients);   // nobody was refused, and nobody's session has ended

        await session.QueryAsync("select 1");
        Assert.Null(await session.UntilReadyAsync());
        Assert.Contains(
            "listener=\"write\",member=\"a\"} ", Line(await third.MetricsAsync()), StringComparison.Ordinal);
        Assert.Equal((200, "ready\n"), await third.GetAsync("/readyz"));
        Assert.DoesNotContain("fail:", first.Log + second.Log + third.Log, StringComparison.Ordinal);

        async Task<ProxyProcess> NextAsync(ProxyProcess before)
        {
            var seen = Volatile.Read(ref count);
            await WaitUntil.TrueAsync(
                () => clients.Exists(client => client.IsFaulted) || Volatile.Read(ref count) > seen + 20);
            var next = await cluster.ProxyAsync(new ProxyOptions
            {
                More = more, Beside = before, Arguments = ["--take-over"], UntilReady = false,
            });
            try
            {
                await next.UntilAsync(() => next.Log.Contains("Took over", StringComparison.Ordinal), "it takes over");
                var code = await before.WaitForExitAsync();
                Assert.True(code == 0, $"exit code {code}\n{before.Log}");
                return next;
            }
            catch
            {
                await next.DisposeAsync();
                throw;
            }
        }

        static string Line(string metrics) => metrics.Split('\n')
            .First(line => line.StartsWith("routing_proxy_sessions_taken_over_total{", StringComparison.Ordinal));
    }

    [Fact]
    public async Task At_SIGUSR2_the_program_starts_anew_and_takes_over()
    {
        using var meeting = Meeting();
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(meeting["manager"]));
        File.SetUnixFileMode(meeting["manager"], (UnixFileMode)0b110_110_110);
        await using var old = await cluster.ProxyAsync(new ProxyOptions
        {
            More = $"timeouts: {{drain: 2}}\ntake_over: {meeting["socket"]}",
            Prefix =
            [
                "env", "ROUTING_PROXY_BROADCAST_UNKNOWN_CANCELS=on", $"NOTIFY_SOCKET={meeting["manager"]}",
                "WATCHDOG_USEC=600000000",
            ],
        });
        using var session = new RawClient(old.WritePort);
        Assert.Null(await session.LoginAsync());

        old.Send(ProcessSignal.User2);
        await old.UntilAsync(() => Started() is not null, "the program is started anew");
        var next = Started()!.Value;
        try
        {
            await old.UntilAsync(
                () => old.Log.Contains("Took over: 1 sessions", StringComparison.Ordinal), "the session is taken over");
            Assert.Equal(0, await old.WaitForExitAsync());
            await session.QueryAsync("select 1");

            Assert.Null(await session.UntilReadyAsync());
            Assert.Contains("--take-over", OrdinaryProcess.CommandOf(next), StringComparison.Ordinal);
            Assert.Equal(
                "on", OrdinaryProcess.VariableOf(next, "ROUTING_PROXY_BROADCAST_UNKNOWN_CANCELS"));
            Assert.Equal((200, "ready\n"), await old.GetAsync("/readyz"));
            Assert.Equal(
                ["READY=1", "WATCHDOG=1", string.Create(CultureInfo.InvariantCulture, $"MAINPID={next}"), "READY=1"],
                Told(manager));
        }
        finally
        {
            OrdinaryProcess.Send(next, ProcessSignal.Terminate);
            await WaitUntil.TrueAsync(() => !OrdinaryProcess.IsAlive(next));
        }

        int? Started()
        {
            var words = old.Log.Split("anew: process ");
            return words.Length < 2 ? null : int.Parse(words[1].Split(' ')[0], CultureInfo.InvariantCulture);
        }
    }

    [Fact]
    public async Task A_process_that_can_t_start_leaves_the_old_one_alone()
    {
        using var meeting = Meeting();
        var more = $"timeouts: {{drain: 2}}\ntake_over: {meeting["socket"]}";
        await using var old = await cluster.ProxyAsync(new ProxyOptions { More = more });
        using var session = new RawClient(old.WritePort);
        Assert.Null(await session.LoginAsync());
        var taken = FreePorts.Take();
        using var squatter = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        squatter.Bind(new IPEndPoint(IPAddress.Loopback, taken));
        squatter.Listen();

        await using var next = await cluster.ProxyAsync(new ProxyOptions
        {
            More = more, Beside = old, Arguments = ["--take-over"], UntilReady = false,
            Listeners = $$"""
                  write: {listen: "127.0.0.1:{{old.WritePort}}", role: primary}
                  more: {listen: "127.0.0.1:{{taken}}", role: primary}
                """,
        });
        Assert.Equal(1, await next.WaitForExitAsync());
        await old.UntilAsync(() => old.Log.Contains("has not taken over", StringComparison.Ordinal), "it goes on");
        await session.QueryAsync("select 1");
        using var other = new RawClient(old.WritePort);

        Assert.Null(await session.UntilReadyAsync());
        Assert.Null(await other.LoginAsync());
    }

    [Fact]
    public async Task A_process_ends_when_the_old_one_goes_on_after_all_and_leaves_it_the_queue()
    {
        using var meeting = Meeting();
        using var meetingPoint = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        meetingPoint.Bind(new UnixDomainSocketEndPoint(meeting["socket"]));
        File.SetUnixFileMode(meeting["socket"], (UnixFileMode)0b110_110_110);
        meetingPoint.Listen();
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        var port = ((IPEndPoint)listening.LocalEndPoint!).Port;
        await using var next = await cluster.ProxyAsync(new ProxyOptions
        {
            More = $"timeouts: {{drain: 2}}\ntake_over: {meeting["socket"]}", Arguments = ["--take-over"],
            UntilReady = false,
            Listeners = $$"""  write: {listen: "127.0.0.1:{{port}}", role: primary}""",
        });
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        using var old =
            new TakeoverChannel(await meetingPoint.AcceptAsync(limit.Token), TestCluster.Patience);

        using var client = await Task.Run(async () =>
        {
            using (var hello = old.Receive(TestCluster.Patience)!.Value)
            {
                Assert.Equal(TakeoverFrame.Hello, hello.Type);
            }
            Send(TakeoverFrame.Welcome, to => { to.Int(1); to.Text("1.2.3"); });
            Send(
                TakeoverFrame.Listener,
                to => { to.Byte(0); to.Text("write"); to.Text($"127.0.0.1:{port}"); to.Boolean(false); },
                (int)listening.SafeHandle.DangerousGetHandle());
            old.Send(TakeoverFrame.ListenersEnd);
            using (var ready = old.Receive(TestCluster.Patience)!.Value)
            {
                Assert.Equal((TakeoverFrame.Ready, 8), (ready.Type, ready.Body.Length));   // one, the first
            }
            var accepted = new RawClient(port);
            Assert.Null(await accepted.LoginAsync());
            return accepted;
        });
        old.Break();

        Assert.Equal("57P01", await client.UntilReadyAsync());   // in good order
        Assert.Equal(1, await next.WaitForExitAsync());
        Assert.Contains("the old process goes on", next.Log, StringComparison.Ordinal);
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await other.ConnectAsync(IPAddress.Loopback, port, limit.Token);
        using var queued = await listening.AcceptAsync(limit.Token);
        Assert.True(queued.Connected);

        void Send(TakeoverFrame type, Action<SecretWriter> write, params ReadOnlySpan<int> descriptors)
        {
            using var body = new SecretWriter();
            write(body);
            old.Send(type, body.Written, descriptors);
        }
    }

    // The first lines of what the service manager was told so far.
    private static List<string> Told(Socket manager)
    {
        var told = new List<string>();
        var room = new byte[256];
        while (manager.Poll(0, SelectMode.SelectRead))
        {
            told.Add(Encoding.UTF8.GetString(room, 0, manager.Receive(room)).Split('\n')[0]);
        }
        return told;
    }

    // A directory that the programs may write to.
    private static TempDirectory Meeting()
    {
        var directory = new TempDirectory("take-over");
        OrdinaryProcess.GiveAway(directory.Path);
        return directory;
    }

    private sealed class Ending(CancellationTokenSource isOver, List<Task> clients) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await isOver.CancelAsync();
            await Task.WhenAll(clients).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
