using System.Text.Json.Nodes;
using CsCheck;
using Xunit;

namespace Routing.Settings.Tests;

public class YamlWriter_is_read_back_unchanged
{
    [Theory]
    [InlineData("""{"a":1,"b":"1","c":true,"d":"on","e":null,"f":"null","g":1.5,"h":"1.5"}""")]
    [InlineData("""{"a":{"b":[1,{"c":"d"},[],{}]},"e":[]}""")]
    [InlineData("""{"text":"line one\nline two\n","quote":"it's: # \"so\"","empty":"","<<":"x","0600":"0600"}""")]
    [InlineData("""{"#":"#FIXME","star":"*","at":"@x","colon":"a: b","dash":"- a","brace":"{a}","space":" a "}""")]
    public void A_tree(string json)
    {
        var tree = JsonNode.Parse(json)!;

        var back = YamlText.ReadMapping(YamlWriter.Write(tree), "back").Root;

        Assert.Equal(tree.ToJsonString(), back.ToJsonString());
    }

    [Fact]
    public void Any_printable_text() =>
        Gen.String[Gen.Char[' ', '~']].Sample(text =>
            YamlText.ReadMapping(YamlWriter.Write(new JsonObject { ["key"] = text }),
                "back").Root["key"]!.GetValue<string>() == text);
}
