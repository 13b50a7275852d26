using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
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

    private sealed class Ending(CancellationTokenSource isOver, List<Task> clients) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await isOver.CancelAsync();
            await Task.WhenAll(clients).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
