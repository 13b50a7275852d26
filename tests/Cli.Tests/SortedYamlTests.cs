using System.Text.Json.Nodes;
using CsCheck;
using Routing.Cli.Output;
using Routing.Settings;

namespace Routing.Cli.Tests;

public sealed class SortedYamlTests
{
    [Theory]
    [InlineData("logical", "logical")]
    [InlineData("on", "'on'")]
    [InlineData("NULL", "'NULL'")]
    [InlineData("10", "'10'")]
    [InlineData("1e3", "'1e3'")]
    [InlineData("0x1F", "'0x1F'")]
    [InlineData("2026-09-01", "'2026-09-01'")]
    [InlineData("12:30", "'12:30'")]
    [InlineData("", "''")]
    [InlineData("it's: so", "'it''s: so'")]
    [InlineData("* * *", "'* * *'")]
    [InlineData("-c work_mem=4MB", "-c work_mem=4MB")]
    [InlineData("10.0.0.1:5432", "10.0.0.1:5432")]
    [InlineData("a\nb", "\"a\\nb\"")]
    public void Text_is_quoted_only_where_it_would_be_read_as_something_else(string text, string written)
    {
        Assert.Equal(written + "\n", SortedYaml.WriteBlock(JsonValue.Create(text)));
    }

    [Theory]
    [InlineData("""["%.",{"1\" *'é1&":{"b":1},"No":-256}]""")]
    [InlineData("""[{"a' b":"c & d"}]""")]
    public void The_flow_form_is_read_back(string json)
    {
        var node = JsonNode.Parse(json);

        Assert.Equal(node!.ToJsonString(),
            YamlText.ReadMapping("value: " + SortedYaml.WriteFlow(node), "test").Root["value"]!.ToJsonString());
    }

    [Fact]
    public void The_flow_form_is_one_line()
    {
        var node = JsonNode.Parse("""{"b":[1,"x:y",{"c":null}],"a":true,"d":{},"e":[]}""");

        Assert.Equal("{a: true, b: [1, 'x:y', {c: null}], d: {}, e: []}", SortedYaml.WriteFlow(node));
    }

    [Fact]
    public void Whatever_is_written_is_read_as_the_same_value()
    {
        string[] words = ["yes", "No", "~", "null", ".5", "1_000", "0o17", "1.5e3", ".inf", "0b1", "---", "- a", "? b",
            "a: b", "a #b", "<<"];
        var text = Gen.OneOf(
            Gen.String[Gen.Char["ab01-:#,[]{}'\"\\ \n\t.&*!|>%@~?=é"], 0, 8],
            Gen.Int[0, words.Length - 1].Select(index => words[index]));
        var scalar = Gen.OneOf(
            text.Select(value => (JsonNode?)JsonValue.Create(value)),
            Gen.Int[-1000, 1000].Select(value => (JsonNode?)JsonValue.Create((long)value)),
            Gen.Bool.Select(value => (JsonNode?)JsonValue.Create(value)),
            Gen.Const((JsonNode?)null));
        var node = Gen.Recursive<JsonNode?>((depth, inner) => depth > 3
            ? scalar
            : Gen.OneOf(
                scalar,
                inner.Array[0, 3].Select(
                    items => (JsonNode?)new JsonArray([.. items.Select(item => item?.DeepClone())])),
                Gen.Select(text, inner).Array[0, 3].Select(pairs =>
                {
                    var item = new JsonObject();
                    foreach (var (key, value) in pairs)
                    {
                        item[key] = value?.DeepClone();
                    }
                    return (JsonNode?)item;
                })));

        node.Sample(value =>
        {
            var wrapped = new JsonObject { ["value"] = value?.DeepClone() };
            var read = YamlText.ReadMapping(SortedYaml.WriteBlock(wrapped), "test").Root;
            var readFlow = YamlText.ReadMapping("value: " + SortedYaml.WriteFlow(value), "test").Root;

            return JsonNode.DeepEquals(wrapped, read) && JsonNode.DeepEquals(wrapped, readFlow);
        });
    }
}
