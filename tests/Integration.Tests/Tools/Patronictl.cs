using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests.Tools;

/// <summary>Patroni's own command-line tool as the distribution ships it, pointed at a cluster.</summary>
internal sealed class Patronictl : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(90);
    private readonly TestCluster _cluster;
    private readonly PatroniPackage _package;
    private readonly TempDirectory _directory = new("patronictl");

    public Patronictl(TestCluster cluster, PatroniPackage? package = null)
    {
        (_cluster, _package) = (cluster, package ?? PatroniPackage.Debian12);
        OrdinaryProcess.GiveAway(_directory.Path);
        File.WriteAllText(_directory["ctl.yml"], new JsonObject
        {
            ["scope"] = cluster.Scope,
            ["etcd3"] = new JsonObject { ["hosts"] = $"{cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port}" },
        }.ToJsonString());
    }

    /// <summary>Runs a command that has to succeed.</summary>
    /// <returns>What it printed.</returns>
    public async Task<string> DoneAsync(params string[] command)
    {
        var (code, output) = await RunAsync("", command);
        Assert.True(code == 0, $"patronictl {string.Join(' ', command)}: exit code {code}: {output}");
        return output;
    }

    /// <summary>Runs a command.</summary>
    /// <param name="input">What it reads: answers to its questions, or a configuration.</param>
    /// <param name="command">Its words.</param>
    public async Task<(int Code, string Output)> RunAsync(string input, params string[] command)
    {
        var name = Guid.NewGuid().ToString("N");
        await File.WriteAllTextAsync(_directory[$"{name}.in"], input);
        string[] login = ["/usr/bin/env", "PGUSER=postgres", "PGPASSWORD=super", "PGDATABASE=postgres"];
        string[] reading =
            ["/bin/sh", "-c", """in="$1"; shift; exec "$@" < "$in" """, "sh", _directory[$"{name}.in"]];
        using var process = OrdinaryProcess.Start(
            _directory[$"{name}.log"], _directory.Path,
            [.. login, .. reading, .. _package.Ctl, "-c", _directory["ctl.yml"], .. command]);
        var code = await process.WaitForExitAsync(s_limit);
        return (code, await File.ReadAllTextAsync(_directory[$"{name}.log"]));
    }

    /// <summary>The rows of <c>list</c>.</summary>
    public async Task<IReadOnlyList<JsonObject>> ListAsync() =>
        [.. JsonNode.Parse(await DoneAsync("list", "-f", "json", _cluster.Scope))!.AsArray()
            .Select(row => row!.AsObject())];

    public void Dispose() => _directory.Dispose();
}
