using System.Text.RegularExpressions;
using Routing.TestKit;

namespace Routing.Integration.Tests.Migration;

/// <summary>The page <c>docs/migration.md</c>, whose commands the tests run.</summary>
internal static partial class MigrationPage
{
    private const string Name = "migration.md";
    private const string UnreachableByOthers = " must be an address that the other members can reach";

    /// <summary>The labels of its blocks of commands.</summary>
    public static IEnumerable<string> Labels => Blocks().Matches(Repository.Document(Name))
        .Select(block => block.Groups["label"].Value).Distinct();

    /// <summary>How many blocks of any kind it has.</summary>
    public static int CountOfBlocks => Fences().Count(Repository.Document(Name)) / 2;

    /// <summary>How many blocks of commands it has, and of SQL.</summary>
    public static int CountOfCommandBlocks => Blocks().Count(Repository.Document(Name)) + 1;

    /// <summary>The commands under a label, in the page's order.</summary>
    public static IReadOnlyList<string> Commands(string label) =>
    [
        .. Blocks().Matches(Repository.Document(Name)).Where(block => block.Groups["label"].Value == label)
            .SelectMany(block => block.Groups["line"].Captures.Select(line => line.Value)),
    ];

    /// <summary>Runs the commands under a label on a node.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="node">The node: its file is the page's file, its agent the page's unit.</param>
    /// <param name="label">The label.</param>
    /// <param name="candidate">Whom the page calls pg2 in a switchover.</param>
    /// <param name="package">Patroni, where the page starts it.</param>
    public static async Task RunAsync(
        TestCluster cluster, TestNode node, string label, TestNode? candidate = null, PatroniPackage? package = null)
    {
        var commands = Commands(label);
        Assert.NotEmpty(commands);
        foreach (var command in commands)
        {
            await RunCommandAsync(cluster, node, command, candidate, package);
        }
    }

    /// <summary>Runs one command of the page; the parameters are those of <see cref="RunAsync"/>.</summary>
    public static async Task RunCommandAsync(
        TestCluster cluster, TestNode node, string command, TestNode? candidate = null, PatroniPackage? package = null)
    {
        switch (command)
        {
            case "systemctl disable --now patroni" or "systemctl disable --now routing-agent":
                Assert.Equal(command.EndsWith("patroni", StringComparison.Ordinal), node.Patroni is not null);
                await node.StopAsync();
                return;
            case "systemctl enable --now patroni":
                node.Patroni = package;
                node.Start();
                return;
            case "systemctl enable --now routing-agent":
                node.Patroni = null;
                node.Start();
                return;
        }
        var words = command.Split(' ').Select(word => word switch
        {
            "routingctl" => Programs.Ctl,
            "routing-agent" => Programs.Agent,
            "/etc/patroni/config.yml" or "/etc/routing/agent.yml" => node.ConfigFile,
            "pg1.yml" => cluster.Nodes[0].ConfigFile,
            "pg2.yml" => cluster.Nodes[1].ConfigFile,
            "pg3.yml" => cluster.Nodes[2].ConfigFile,
            "pg2" => candidate?.Name ?? throw new InvalidOperationException($"Nobody is named for {command}."),
            _ => word,
        });
        var (code, output) = await HandMadeServers.TryAsync(node, [.. words]);
        // A cluster of a test is on this machine alone, which no other member could reach.
        var isWell = code == 0 || (command.Contains("--validate-config", StringComparison.Ordinal)
            && output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .All(line => line.Contains(UnreachableByOthers, StringComparison.Ordinal)));
        Assert.True(isWell, $"{command}: exit code {code}: {output}");
    }

    [GeneratedRegex("^```sh (?<label>.+)\n(?:(?<line>.+)\n)+?```$", RegexOptions.Multiline)]
    private static partial Regex Blocks();

    [GeneratedRegex("^```", RegexOptions.Multiline)]
    private static partial Regex Fences();
}
