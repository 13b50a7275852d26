using System.Text.RegularExpressions;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>The page <c>docs/a-day-with-routing.md</c>: every command in it works, in the page's order.</summary>
[Collection(SharedCluster.Name)]
public sealed partial class ADayWithRoutingTests(ClusterFixture fixture)
{
    private const string Page = "a-day-with-routing.md";
    private const string Retired = "retired";
    private const int Attempts = 3;

    private static readonly string[] s_twelve =
    [
        "show-config", "edit-config", "list", "list -e", "reinit", "history", "switchover", "pause", "resume", "remove",
        "reload", "restart",
    ];

    /// <summary>A command of the page.</summary>
    /// <param name="Words">What stands behind <c>routingctl</c>.</param>
    /// <param name="Codes">The exit codes that the page states; 0 where it states none.</param>
    /// <param name="Answers">To its questions, one line each.</param>
    private sealed record Command(string[] Words, int[] Codes, string Answers)
    {
        public override string ToString() => $"routingctl {string.Join(' ', Words)}";
    }

    [Fact]
    public void Each_command_of_the_page_stands_where_the_test_finds_it()
    {
        var text = Repository.Document(Page);

        Assert.Equal(Regex.Count(text, @"\broutingctl [a-z]"), CommandsOf(text).Count);
        Assert.All(s_twelve, name => Assert.Contains(
            CommandsOf(text), command => $"{command} ".StartsWith($"routingctl {name} ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Every_command_of_the_page_runs_in_its_order()
    {
        var (cluster, first) = await fixture.TakeAsync();
        using var retired = new EtcdKeys(cluster.Etcd.Endpoint, $"/service/{Retired}");
        await retired.PutAsync("config", "{}");
        var names = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["demo"] = cluster.Scope,
            ["pg1"] = first.Name,
            ["pg2"] = cluster.ReplicasOf(first)[0].Name,
            ["pg3"] = cluster.ReplicasOf(first)[1].Name,
        };
        var leads = "pg1";
        try
        {
            foreach (var command in CommandsOf(Repository.Document(Page)))
            {
                for (var attempt = 1; ; attempt++)
                {
                    // On a machine that stands still for a lease's time another one leads: it takes the part of the
                    // page's leader.
                    var leader = (await cluster.HealthyAsync()).Name;
                    var other = names.Single(pair => pair.Value == leader).Key;
                    (names[other], names[leads]) = (names[leads], leader);
                    var (code, output) = await cluster.CtlWithInputAsync(
                        In(command.Answers), [.. command.Words.Select(In)]);
                    if (command.Codes.Contains(code))
                    {
                        break;
                    }
                    Assert.True(
                        attempt < Attempts && (await cluster.HealthyAsync()).Name != leader,
                        $"{command} ended with {code}: {output}");
                }
                leads = command.Words[0] == "switchover" ? "pg2" : leads;
            }

            foreach (var node in cluster.Nodes)
            {
                await cluster.UntilAsync(
                    async () => await node.SqlAsync("SHOW work_mem") == "8MB", $"{node.Name} took the change");
            }
            Assert.NotNull(await cluster.LeaderNameAsync());
            Assert.Empty(await retired.AllAsync());
        }
        finally
        {
            await RestoreAsync(cluster);
        }

        string In(string word) => Name().Replace(word, match => names.GetValueOrDefault(match.Value, match.Value));
    }

    /// <summary>The cluster as the next test expects it.</summary>
    private static async Task RestoreAsync(TestCluster cluster)
    {
        await cluster.CtlAsync("resume", cluster.Scope, "--wait");   // refused unless the page ended in its pause
        await cluster.CtlAsync(
            "edit-config", cluster.Scope, "--force", "-p", "work_mem=null", "-p", "track_activity_query_size=null");
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(
                async () =>
                {
                    await cluster.CtlAsync("restart", cluster.Scope, "--pending", "--force");
                    return await node.SqlAsync("SHOW track_activity_query_size") == "1kB"
                        && await node.SqlAsync("SHOW work_mem") == "4MB";
                },
                $"{node.Name} has its own settings again");
        }
        await cluster.HealthyAsync();
    }

    private static List<Command> CommandsOf(string text) =>
    [
        .. Block().Matches(text).SelectMany(block => block.Groups["line"].Captures.Select(line => new Command(
            WordsOf(line.Value.TrimEnd('\n')),
            [.. (block.Groups["codes"] is { Success: true } codes ? codes.Value : "0").Split('|').Select(int.Parse)],
            block.Groups["input"] is { Success: true } input ? input.Value.Replace(';', '\n') + "\n" : ""))),
    ];

    private static string[] WordsOf(string line) =>
        [.. Word().Matches(line).Skip(1).Select(word => word.Value.Trim('\''))];

    [GeneratedRegex(
        """^```sh run(?: exit=(?<codes>[0-9|]+))?(?: input="(?<input>[^"]*)")?\n(?<line>routingctl .*\n)+```$""",
        RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Block();

    [GeneratedRegex("'[^']*'|[^ ]+", RegexOptions.CultureInvariant)]
    private static partial Regex Word();

    [GeneratedRegex(@"\b(?:demo|pg[123])\b", RegexOptions.CultureInvariant)]
    private static partial Regex Name();
}
