using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// psycopg2, node-postgres, psql and Npgsql through the proxy, in clear text and in each of its ways with TLS.
/// </summary>
public sealed class RealClientTests(TlsCluster fixture) : IClassFixture<TlsCluster>
{
    // By Clients/session.py and Clients/session.js.
    private static readonly string[] s_steps =
    [
        "ok query", "ok prepared", "ok copy both ways", "ok copy that fails in the middle", "ok large object",
        "ok notification",
        "ok cancel on the write port", "ok read", "ok cancel on the read port",
    ];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<TlsWay> Ways => [.. Enum.GetValues<TlsWay>()];

    /// <summary>Where TLS begins and ends.</summary>
    public enum TlsWay
    {
        /// <summary>Nowhere.</summary>
        Clear,

        /// <summary>From client to server, through the proxy.</summary>
        PassThrough,

        /// <summary>From client to proxy.</summary>
        Terminate,

        /// <summary>From proxy to server.</summary>
        Originate,

        /// <summary>On both sides, with one certificate.</summary>
        SameCertificate,

        /// <summary>On both sides, with certificates of their own.</summary>
        OwnCertificates,
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task All_that_an_application_does_works_with_psycopg2(TlsWay way)
    {
        Installed.Require("psycopg2");
        await using var proxy = await StartAsync(way);

        var (code, output) = await ScriptAsync(
            "/usr/bin/python3", "session.py", Libpq(way, proxy.WritePort), Libpq(way, proxy.ReadPort));

        Assert.True(code == 0, output);
        Assert.Equal([.. s_steps, "ok statements ahead of the end"],
            output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task All_of_it_works_with_direct_TLS_and_the_newest_protocol(TlsWay way)
    {
        Installed.Require("psycopg2");
        Assert.SkipUnless(PostgresUnderTest.Major >= 17, "libpq begins TLS directly since 17.");
        await using var proxy = await StartAsync(way);
        var newest = (IsTlsForClient(way) ? " sslnegotiation=direct" : "")
            // Since 18: protocol 3.2, whose keys for cancel requests are longer.
            + (PostgresUnderTest.Major >= 18 ? " max_protocol_version=latest" : "");

        var (code, output) = await ScriptAsync("/usr/bin/python3", "session.py",
            Libpq(way, proxy.WritePort) + newest, Libpq(way, proxy.ReadPort) + newest);

        Assert.True(code == 0, output);
        Assert.Equal([.. s_steps, "ok statements ahead of the end"],
            output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task All_that_an_application_does_works_with_node_postgres(TlsWay way)
    {
        Installed.Require("node");
        await using var proxy = await StartAsync(way);

        var (code, output) =
            await ScriptAsync("node", "session.js", Node(way, proxy.WritePort), Node(way, proxy.ReadPort));

        Assert.True(code == 0, output);
        Assert.Equal(s_steps, output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Npgsql_logs_in_with_the_channel_binding_that_is_possible(TlsWay way)
    {
        await using var proxy = await StartAsync(way, showsChannelBinding: true);
        await using var connection =
            new NpgsqlConnection(new NpgsqlConnectionStringBuilder(ProxyProcess.ConnectionString(proxy.WritePort))
        {
            SslMode = IsTlsForClient(way) ? SslMode.VerifyFull : SslMode.Disable,
            RootCertificate = fixture.Certificates.Authority,
            ChannelBinding = Binding(way) switch
            {
                "require" => ChannelBinding.Require,
                "disable" => ChannelBinding.Disable,
                _ when way == TlsWay.Originate => ChannelBinding.Disable,
                _ => ChannelBinding.Prefer,
            },
        }.ConnectionString);

        await connection.OpenAsync(Cancellation);

        await using var sleep = new NpgsqlCommand("SELECT pg_sleep(30)", connection);
        var sleeping = sleep.ExecuteNonQueryAsync(Cancellation);
        await WaitUntil.TrueAsync(() =>
        {
            sleep.Cancel();   // one that comes ahead of its statement does nothing
            return sleeping.IsCompleted;
        });
        await Assert.ThrowsAsync<OperationCanceledException>(() => sleeping);
    }

    [Theory]
    [InlineData(TlsWay.Terminate, false)]         // the server has no TLS with anybody: there is nothing to bind to
    [InlineData(TlsWay.OwnCertificates, false)]   // the client would bind to another certificate than the server's
    [InlineData(TlsWay.SameCertificate, true)]
    [InlineData(TlsWay.PassThrough, true)]
    public async Task Channel_binding_can_be_demanded_where_both_ends_see_one_certificate(TlsWay way, bool possible)
    {
        await using var proxy = await StartAsync(way);
        using var directory = new TempDirectory("psql");
        OrdinaryProcess.GiveAway(directory.Path);

        var (code, output) = await RunAsync(
            directory, PostgresClient.PathOf("psql"), $"{Libpq(way, proxy.WritePort)} channel_binding=require", "-Atc",
            "SELECT 'bound'");

        Assert.Equal(possible, code == 0);
        Assert.Contains(possible ? "bound" : "channel binding", output, StringComparison.Ordinal);
    }

    private static bool IsTlsForClient(TlsWay way) => way is not (TlsWay.Clear or TlsWay.Originate);

    private static string Binding(TlsWay way) => way switch
    {
        TlsWay.PassThrough or TlsWay.SameCertificate => "require",
        TlsWay.OwnCertificates => "disable",
        _ => "prefer",
    };

    private Task<ProxyProcess> StartAsync(TlsWay way, bool showsChannelBinding = false)
    {
        var terminate = (string file) => $", tls: {{mode: terminate, required: true, certificate: \"{file}\"}}";
        var originate =
            $", server_tls: {{mode: verify_full, ca: \"{fixture.Certificates.Authority}\", hide_channel_binding: "
                + $"{(showsChannelBinding ? "off" : "on")}}}";
        var listener = way switch
        {
            TlsWay.PassThrough => ", tls: {mode: pass_through}",
            TlsWay.Terminate => terminate(fixture.ProxyFile),
            TlsWay.Originate => originate,
            TlsWay.SameCertificate => terminate(fixture.MemberFile) + originate,
            TlsWay.OwnCertificates => terminate(fixture.ProxyFile) + originate,
            _ => "",
        };
        // What passes through shows no keys: a cancel request in clear text goes to every member then.
        return ProxyProcess.StartAsync(fixture.Cluster, new ProxyOptions { Write = listener, Read = listener });
    }

    private string Libpq(TlsWay way, int port) => string.Create(
        CultureInfo.InvariantCulture,
        $"host=127.0.0.1 port={port} user=postgres password=super dbname=postgres gssencmode=disable "
            + $"connect_timeout=20 sslrootcert={fixture.Certificates.Authority} "
            + $"sslmode={(IsTlsForClient(way) ? "verify-full" : "disable")} channel_binding={Binding(way)}");

    private string Node(TlsWay way, int port) => new JsonObject
    {
        ["host"] = "localhost",   // it verifies no certificate for an address
        ["port"] = port,
        ["user"] = "postgres",
        ["password"] = "super",
        ["database"] = "postgres",
        ["connectionTimeoutMillis"] = 20_000,
        ["ca"] = IsTlsForClient(way) ? fixture.Certificates.Authority : null,
        ["enableChannelBinding"] = Binding(way) == "require",
    }.ToJsonString(JsonSerializerOptions.Web);

    private static async Task<(int Code, string Output)> ScriptAsync(
        string program, string script, params string[] arguments)
    {
        using var directory = new TempDirectory("client");
        OrdinaryProcess.GiveAway(directory.Path);
        return await RunAsync(directory, program,
            [Path.Combine(AppContext.BaseDirectory, "Clients", script), .. arguments]);
    }

    private static async Task<(int Code, string Output)> RunAsync(
        TempDirectory directory, string program, params string[] arguments)
    {
        using var client = OrdinaryProcess.Start(directory["log"], directory.Path, [program, .. arguments]);
        var code = await client.WaitForExitAsync(TimeSpan.FromSeconds(90));
        return (code, await File.ReadAllTextAsync(directory["log"], Cancellation));
    }
}
