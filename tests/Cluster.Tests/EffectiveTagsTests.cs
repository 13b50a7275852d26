using System.Text.Json;
using Routing.Cluster.Keys;

namespace Routing.Cluster.Tests;

public class EffectiveTagsTests
{
    private static string Publish(string tags, bool leaves = false)
    {
        var member =
            new Member { Name = "a", Version = "4.1.4", Tags = EffectiveTags.From(JsonElement.Parse(tags), leaves) };
        var json = JsonElement.Parse(KeyWriter.Member(member));
        return json.TryGetProperty("tags", out var written) ? written.GetRawText() : "none";
    }

    [Theory]
    [InlineData(
        """{"clonefrom":false,"nofailover":false,"noloadbalance":false,"nosync":false,"nostream":false}""", "none")]
    [InlineData("""{"clonefrom":true,"nosync":0,"nostream":""}""", """{"clonefrom":true}""")]
    [InlineData("""{"nofailover":false,"failover_priority":2}""", """{"failover_priority":2,"nofailover":false}""")]
    [InlineData("""{"nosync":false,"sync_priority":0}""", """{"nosync":false,"sync_priority":0}""")]
    [InlineData("""{"replicatefrom":"","zone":"a","rack":null,"custom":false}""",
        """{"custom":false,"rack":null,"replicatefrom":"","zone":"a"}""")]
    [InlineData("{}", "none")]
    [InlineData("[]", "none")]
    public void Flags_that_say_no_are_left_out(string configured, string published) =>
        Assert.Equal(published, Publish(configured));

    [Theory]
    [InlineData("{}", """{"nosync":true,"sync_priority":0}""")]
    [InlineData(
        """{"nosync":false,"sync_priority":5,"zone":"a"}""", """{"nosync":true,"sync_priority":0,"zone":"a"}""")]
    public void A_member_that_leaves_the_synchronous_set_says_so_over_its_own_tags(
        string configured, string published) =>
        Assert.Equal(published, Publish(configured, leaves: true));

    [Theory]
    [InlineData("{}", 1, 1)]
    [InlineData("""{"nofailover":true,"nosync":"true"}""", 0, 0)]
    [InlineData("""{"nofailover":false,"failover_priority":"7","nosync":false,"sync_priority":3}""", 7, 3)]
    [InlineData("""{"nofailover":true,"failover_priority":7}""", 0, 1)]
    [InlineData("""{"failover_priority":-4,"sync_priority":0}""", 0, 0)]
    [InlineData("""{"failover_priority":"high","sync_priority":[1]}""", 1, 1)]
    public void Priorities_follow_from_flags_and_numbers(string json, int failover, int sync)
    {
        var tags = EffectiveTags.From(JsonElement.Parse(json));

        Assert.Equal((failover, sync), (tags.FailoverPriority, tags.SyncPriority));
        Assert.Equal((failover == 0, sync == 0), (tags.NoFailover, tags.NoSync));
    }

    [Theory]
    [InlineData("""{"nofailover":true,"failover_priority":"2"}""", true, false,
        "nofailover: true and failover_priority: 2: nofailover holds, so this member never leads")]
    [InlineData("""{"nofailover":false,"failover_priority":0}""", false, false,
        "nofailover: false and failover_priority: 0: nofailover holds, so this member may lead")]
    [InlineData("""{"nosync":true,"sync_priority":1}""", false, true,
        "nosync: true and sync_priority: 1: nosync holds, so this member never is synchronous")]
    [InlineData("""{"nofailover":true,"failover_priority":0,"nosync":false,"sync_priority":3}""", true, false, null)]
    [InlineData("""{"nofailover":true,"failover_priority":"high"}""", true, false, null)]
    [InlineData("""{"failover_priority":0}""", true, false, null)]
    public void Where_a_flag_and_a_number_contradict_each_other_the_flag_holds(
        string json, bool noFailover, bool noSync, string? conflict)
    {
        var tags = EffectiveTags.From(JsonElement.Parse(json));

        Assert.Equal((noFailover, noSync), (tags.NoFailover, tags.NoSync));
        Assert.Equal(conflict is null ? [] : [$"Conflicting configuration between {conflict}"], tags.Conflicts);
    }
}
