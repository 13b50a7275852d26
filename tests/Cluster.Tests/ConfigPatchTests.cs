using System.Text.Json;
using Routing.Cluster.Keys;

namespace Routing.Cluster.Tests;

public class ConfigPatchTests
{
    private static string? Patch(string config, string patch) =>
        KeyWriter.PatchConfig(JsonElement.Parse(config), JsonElement.Parse(patch));

    [Theory]
    [InlineData("""{"ttl":30}""", """{"pause":true}""", """{"ttl":30,"pause":true}""")]
    [InlineData("""{"ttl":30,"pause":true}""", """{"pause":null}""", """{"ttl":30}""")]
    [InlineData("""{"a":1,"b":2,"c":3}""", """{"b":5}""", """{"a":1,"b":5,"c":3}""")]
    [InlineData("""{"postgresql":{"parameters":{"x":1,"y":2},"use_slots":true}}""",
        """{"postgresql":{"parameters":{"x":null,"z":"3MB"}}}""",
        """{"postgresql":{"parameters":{"y":2,"z":"3MB"},"use_slots":true}}""")]
    [InlineData("""{"a":{"b":1}}""", """{"a":7}""", """{"a":7}""")]
    [InlineData("""{"a":7}""", """{"a":{"b":1,"c":null}}""", """{"a":{"b":1}}""")]
    [InlineData("""{"l":[1,2]}""", """{"l":[1]}""", """{"l":[1]}""")]
    [InlineData("""{}""", """{"slots":{"old":null}}""", """{"slots":{}}""")]
    [InlineData("[]", """{"ttl":20}""", """{"ttl":20}""")]
    [InlineData("""{ "a" : 1.50 }""", """{"b":1}""", """{"a":1.50,"b":1}""")]
    public void A_patch_merges_objects_deletes_by_null_and_replaces_the_rest(
        string config, string patch, string expected) =>
        Assert.Equal(expected, Patch(config, patch));

    [Theory]
    [InlineData("""{"ttl":30}""", "{}")]
    [InlineData("""{"ttl":30}""", """{"ttl":30}""")]
    [InlineData("""{"ttl":30}""", """{"ttl":"30"}""")]
    [InlineData("""{"ttl":30}""", """{"pause":null}""")]
    [InlineData("""{"a":{"b":[1,{"c":2}]}}""", """{"a":{"b":[1,{"c":2}],"d":null}}""")]
    public void A_patch_that_changes_nothing_writes_nothing(string config, string patch) =>
        Assert.Null(Patch(config, patch));

    [Fact]
    public void A_patch_must_be_an_object()
    {
        Assert.Throws<ArgumentException>(() => Patch("{}", "[]"));
        Assert.Equal("""{"a":1}""", KeyWriter.PatchConfig(default, JsonElement.Parse("""{"a":1}""")));
    }

    [Fact]
    public void A_whole_configuration_is_written_without_blanks() =>
        Assert.Equal("""{"ttl":30,"tags":["\u00fc",null]}""",
            KeyWriter.Config(JsonElement.Parse("""{ "ttl" : 30, "tags" : [ "ü", null ] }""")));
}
