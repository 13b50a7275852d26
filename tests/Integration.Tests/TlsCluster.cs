using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// A cluster of two whose servers do TLS and demand SCRAM, with certificates for 127.0.0.1 and localhost.
/// </summary>
public sealed class TlsCluster : IAsyncLifetime
{
    /// <summary>The cluster.</summary>
    public TestCluster Cluster { get; private set; } = null!;

    /// <summary>
    /// Its authority, and a file for the members (<see cref="MemberFile"/>) and for the proxy
    /// (<see cref="ProxyFile"/>).
    /// </summary>
    public CertificateFiles Certificates { get; } = new("the cluster");

    /// <summary>What the members show.</summary>
    public string MemberFile { get; private set; } = "";

    /// <summary>What the proxy shows where it has a certificate of its own.</summary>
    public string ProxyFile { get; private set; } = "";

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        (MemberFile, ProxyFile) = (Certificates.FileFor("127.0.0.1", "member.pem", "localhost"),
            Certificates.FileFor("127.0.0.1", "proxy.pem", "localhost"));
        Cluster = await TestCluster.StartAsync(new TestClusterOptions
        {
            Nodes = 2,
            Configure = (_, config) =>
            {
                var parameters = config["postgresql"]!["parameters"]!.AsObject();
                // Instead of what initdb writes, which trusts everybody on this machine.
                config["postgresql"]!["pg_hba"] = new JsonArray(
                    "local all all scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256");
                if (PostgresUnderTest.Major < 14)
                {
                    // Before 14 initdb keeps passwords for md5, unless it is told how users log in.
                    config["bootstrap"]!["initdb"]!.AsArray().Add(new JsonObject { ["auth"] = "scram-sha-256" });
                }
                (parameters["ssl"], parameters["ssl_cert_file"], parameters["ssl_key_file"]) =
                    ("on", MemberFile, MemberFile);
            },
        });
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        Certificates.Dispose();
    }
}
