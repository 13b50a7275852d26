using System.Net.Sockets;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

/// <summary>What people read when etcd can't be reached, or is no etcd: plain words, and the address.</summary>
public sealed class EtcdFailureWordsTests : IDisposable
{
    private const string Foreign = "its answer is not etcd's: another service listens there, or it wants TLS (https)";

    private const string Clear = "it answers without TLS: it wants none (http), or is another service";
    private const string Closed =
        "it closed the connection in the TLS handshake: it wants none (http), or is another service";
    private const string Distrusted = "its certificate is signed by an authority that is not trusted (see cacert)";

    private readonly CertificateFiles _certificates = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _certificates.Dispose();

    [Fact]
    public async Task A_refused_connection_is_told_with_host_and_port()
    {
        var endpoint = new Uri($"http://127.0.0.1:{FreePorts.Take()}");
        var address = endpoint.GetLeftPart(UriPartial.Authority);
        await using var store = Connect(endpoint, seconds: 3);

        await SaysAsync(store, $"{address}: connection refused");
        var problem = await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());

        Assert.Equal($"etcd did not read the cluster: {address}: connection refused", problem.Message);
        Assert.Equal((null, "connection refused"), await ProbeAsync(endpoint));
    }

    [Fact]
    public async Task A_name_that_nobody_knows_is_told()
    {
        // Too long for a name: the resolver says no without a name server, however slow that is here.
        var address = $"http://{new string('x', 64)}.invalid:2379";
        await using var store = Connect(new Uri(address));

        await SaysAsync(store, $"{address}: its name can't be resolved (");
    }

    [Theory]
    [InlineData("http", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", Foreign)]
    [InlineData("http", "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", Foreign)]
    [InlineData("http", "SSH-2.0-OpenSSH_9.2\r\n", Foreign)]
    [InlineData("http", "", Foreign)]
    [InlineData("http", "\u0015\u0003\u0001\u0000\u0002\u0002\u0016", Foreign)]
    [InlineData("https", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        Clear)]
    [InlineData("https", "SSH-2.0-OpenSSH_9.2\r\n", Clear)]
    [InlineData("https", "", Closed)]
    [InlineData("https", "\u0015\u0003\u0003\u0000\u0002\u0002\u002A",
        "it refuses the client certificate, or demands one (see cert and key)")]
    public async Task Another_service_on_the_port_is_told_as_such(string scheme, string answer, string words)
    {
        using var server = new Foreigner(answer);
        var endpoint = new Uri($"{scheme}://127.0.0.1:{server.Port}");
        await using var store = Connect(endpoint);

        await SaysAsync(store, $"{endpoint.GetLeftPart(UriPartial.Authority)}: {words}");
    }

    [Fact]
    public async Task A_server_that_is_silent_and_one_behind_a_black_hole_are_told_apart()
    {
        using var silent = new Foreigner(answer: null);
        using var swallowed = new Foreigner(answer: null);
        swallowed.Vanish();
        await using var first = Connect(new Uri($"http://127.0.0.1:{silent.Port}"), seconds: 3);
        await using var second = Connect(new Uri($"http://127.0.0.1:{swallowed.Port}"));

        await Task.WhenAll(SaysAsync(first, ": no answer within "),
            SaysAsync(second, ": no TCP connection in time: the host is down, or packets to it are dropped"));
    }

    [Fact]
    [Trait("Category", "Integration")]
    public async Task Mistakes_with_TLS_are_told_by_their_kind()
    {
        var server = _certificates.FileFor("127.0.0.1");
        using var others = new CertificateFiles("others");
        var foreign = others.FileFor("127.0.0.1", "client.pem");
        await using var etcd = await EtcdServer.StartAsync(new() { Tls = (_certificates.Authority, server, server) });
        await using var plain = await EtcdServer.StartAsync();
        var client = _certificates.FileFor("client", "client.pem");
        var byName = new UriBuilder(etcd.Endpoint) { Host = "localhost" }.Uri;
        var good = new EtcdOptions
        {
            Endpoints = [etcd.Endpoint], CaFile = _certificates.Authority, CertificateFile = client,
            OperationTimeout = TimeSpan.FromSeconds(60),
        };

        await using (var fine = Open(good))
        {
            await fine.ReadAsync(Token);
            Assert.Null(fine.Problem);
        }
        await SaysAsync(good with { CaFile = others.Authority }, Distrusted);
        await SaysAsync(good with { Endpoints = [byName] }, ": its certificate is made out to another name");
        await SaysAsync(good with { CertificateFile = null }, "(see cert and key)");
        await SaysAsync(good with { CertificateFile = foreign }, "(see cert and key)");
        await SaysAsync(good with { Endpoints = [new UriBuilder(etcd.Endpoint) { Scheme = "http" }.Uri] },
            $": {Foreign}");
        await SaysAsync(good with { Endpoints = [new UriBuilder(plain.Endpoint) { Scheme = "https" }.Uri] },
            $": {Closed}");
    }

    private static EtcdClusterStore Connect(Uri endpoint, int seconds = 60) =>
        Open(new EtcdOptions { Endpoints = [endpoint], OperationTimeout = TimeSpan.FromSeconds(seconds) });

    private static EtcdClusterStore Open(EtcdOptions options) => Stores.Connect([], "words", _ => options);

    private static async Task SaysAsync(EtcdOptions options, string words)
    {
        await using var store = Open(options);
        await SaysAsync(store, words);
    }

    /// <summary>A machine that is busy may say first that there was no answer in time.</summary>
    private static async Task SaysAsync(EtcdClusterStore store, string words)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var reading = store.ReadAsync(enough.Token).AsTask();
        await WaitUntil.TrueAsync(
            () => Task.FromResult(store.Problem?.Contains(words, StringComparison.Ordinal) == true),
            TimeSpan.FromSeconds(60), () => $"it says '{words}', and not '{store.Problem}'");
        await enough.CancelAsync();
        await ((Task)reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static async Task<(string? Version, string? Problem)> ProbeAsync(Uri endpoint)
    {
        using var probe = new EtcdProbe(new EtcdOptions { Endpoints = [endpoint] }, TimeProvider.System);
        var report = await probe.AskAsync(endpoint, TimeSpan.FromSeconds(10), Token);
        return (report.Version, report.Problem);
    }

    /// <summary>Reads a little, says its words and closes; null: it reads on and says nothing.</summary>
    private sealed class Foreigner(string? answer) : PretendListener
    {
        protected override async Task ServeAsync(Socket peer)
        {
            var received = new byte[4096];
            while (await peer.ReceiveAsync(received) > 0 && answer is null)
            {
                // keeps the connection
            }
            await peer.SendAsync(System.Text.Encoding.Latin1.GetBytes(answer ?? ""));
        }
    }
}
