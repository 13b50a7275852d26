using System.Text.Json.Nodes;
using Routing.Cluster.Text;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>A cluster tells how its leader changed: by each member, and by routingctl over all of them.</summary>
[Collection(SecondCluster.Name)]
public sealed class WhyTests(ClusterFixture fixture)
{
    private const int Attempts = 3;

    private static readonly string[] s_phases = ["detected", "lease_free", "elected", "promoted", "first_write"];

    [Fact]
    public async Task After_a_switchover_the_story_has_all_its_phases_in_order()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
        JsonNode? story = null;
        var candidate = leader;
        // On a machine that stands still for a lease's time the leader changes once more: that is another story.
        for (var attempt = 0; story is null && attempt < Attempts; attempt++)
        {
            leader = await cluster.HealthyAsync();
            candidate = cluster.ReplicasOf(leader)[0];
            var before = await TermAsync(leader);
            var (code, _) = await leader.SendAsync("POST", "/switchover",
                new JsonObject { ["leader"] = leader.Name, ["candidate"] = candidate.Name });
            story = code == 200 ? await StoryAsync(cluster, before, leader.Name) : null;
        }

        Assert.NotNull(story);
        IsWholeAndInOrder(story);
        Assert.Equal(("switchover", candidate.Name), ((string?)story["kind"], (string?)story["to"]));
        Assert.Equal("switchover_requested", (string?)story["cause"]!["code"]);
        Assert.Equal(("races", candidate.Name),
            ((string?)story["rule"]!["code"], (string?)story["rule"]!["member"]));
    }

    [Fact]
    public async Task After_a_crash_the_story_says_who_was_asked_and_the_dead_member_tells_its_part_when_it_is_back()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
        JsonNode? story = null;
        var diary = new JsonObject() as JsonNode;
        for (var attempt = 0; story is null && attempt < Attempts; attempt++)
        {
            cluster.StartMissing();
            leader = await cluster.HealthyAsync();
            var before = await TermAsync(leader);
            diary = await leader.DocumentAsync("/events");
            await leader.KillAsync();
            story = await StoryAsync(cluster, before, leader.Name);
        }

        Assert.NotNull(story);
        IsWholeAndInOrder(story);
        Assert.Equal("failover", (string?)story["kind"]);
        var others = cluster.Nodes.Select(node => node.Name).Where(name => name != (string?)story["to"]);
        Assert.Equal(others.Order(StringComparer.Ordinal),
            story["asked"]!.AsArray().Select(asked => (string)asked!["name"]!));
        Assert.False((bool)story["asked"]!.AsArray().Single(asked => (string?)asked!["name"] == leader.Name)![
            "reachable"]!);
        leader.Start();
        await cluster.UntilAsync(async () => (await leader.DocumentAsync("/events"))["events"]!.AsArray()
            .Any(item => (long)item!["id"]! > (long)diary["last"]!), "the agent's next life tells of itself");
        var after = (await leader.DocumentAsync("/events"))["events"]!.AsArray().Select(item => (long)item!["id"]!);
        Assert.Subset(after.ToHashSet(),
            diary["events"]!.AsArray().Select(item => (long)item!["id"]!).TakeLast(20).ToHashSet());
    }

    [Fact]
    public async Task Every_member_says_why_it_leads_or_not()
    {
        var (cluster, _) = await fixture.TakeAsync();

        var (code, output) = await cluster.CtlAsync("why", "pay", "-f", "json");
        var (commitCode, commit) = await cluster.CtlAsync("why", "--commit", "-f", "json");

        Assert.True((code, commitCode) == (0, 0), output + commit);
        var members = Json(output, '[')!.AsArray();
        Assert.Equal(cluster.Nodes.Select(node => node.Name).Order(StringComparer.Ordinal),
            members.Select(member => (string)member!["member"]!).Order(StringComparer.Ordinal));
        Assert.All(members, member => Assert.NotEmpty((string)member!["answer"]!));
        Assert.Equal("off", (string?)Json(commit, '{')!["mode"]);
    }

    private static async Task<long> TermAsync(TestNode node) => (long)(await node.DocumentAsync("/why"))["term"]!;

    /// <summary>
    /// The story of a later term with all its phases, as routingctl makes it of all diaries; null when another leader
    /// than this one went.
    /// </summary>
    private static async Task<JsonNode?> StoryAsync(TestCluster cluster, long before, string from)
    {
        JsonNode? story = null;
        var said = "";
        await cluster.UntilAsync(async () =>
        {
            (var code, said) = await cluster.CtlAsync("why", "--last", "-f", "json");
            story = code == 0 ? Json(said, '{') : null;
            return story is not null && (long)story["term"]! > before && (bool)story["complete"]!;
        }, () => $"the story is whole: {said}", TimeSpan.FromSeconds(120));
        return (string?)story!["from"] == from ? story : null;
    }

    private static void IsWholeAndInOrder(JsonNode story)
    {
        var phases = story["phases"]!.AsArray();
        Assert.Equal(s_phases, phases.Select(phase => (string)phase!["name"]!));
        var times = phases.Select(phase =>
        {
            Assert.True(IsoTime.TryParse((string?)phase!["time"], out var time));
            return time;
        }).ToList();
        Assert.Equal(times.Order(), times);
        Assert.All(phases, phase => Assert.True((long)phase!["took_ms"]! >= 0));
        Assert.InRange(
            (long)story["total_ms"]!, 1, (long)(times[^1] - times[0]).TotalMilliseconds + s_phases.Length);
    }

    /// <summary>The document in an output that may have hints of members that do not answer before it.</summary>
    private static JsonNode? Json(string output, char first) =>
        output.Split('\n').LastOrDefault(line => line.StartsWith(first)) is { } line ? JsonNode.Parse(line) : null;
}
