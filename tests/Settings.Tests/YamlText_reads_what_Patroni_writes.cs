using System.Text.Json.Nodes;
using Xunit;

namespace Routing.Settings.Tests;

public class YamlText_reads_what_Patroni_writes
{
    [Theory]
    [InlineData("on", "true")]
    [InlineData("Off", "false")]
    [InlineData("YES", "true")]
    [InlineData("no", "false")]
    [InlineData("'on'", "\"on\"")]
    [InlineData("\"no\"", "\"no\"")]
    [InlineData("oN", "\"oN\"")]
    [InlineData("y", "\"y\"")]
    [InlineData("~", "null")]
    [InlineData("null", "null")]
    [InlineData("", "null")]
    [InlineData("160", "160")]
    [InlineData("'160'", "\"160\"")]
    [InlineData("-1", "-1")]
    [InlineData("+7", "7")]
    [InlineData("0600", "384")]
    [InlineData("0644", "420")]
    [InlineData("0899", "\"0899\"")]
    [InlineData("0x1F", "31")]
    [InlineData("0xFF", "255")]
    [InlineData("0b101", "5")]
    [InlineData("1_000_000", "1000000")]
    [InlineData("18446744073709551617", "18446744073709551617")]
    [InlineData("1.5", "1.5")]
    [InlineData("1.0", "1.0")]
    [InlineData("-.5", "-0.5")]
    [InlineData("1e3", "\"1e3\"")]
    [InlineData("1.0e+3", "1000.0")]
    [InlineData(".inf", "\".inf\"")]
    [InlineData("10.0.0.1", "\"10.0.0.1\"")]
    [InlineData("10.0.0.1:5432", "\"10.0.0.1:5432\"")]
    [InlineData("12:30", "\"12:30\"")]
    [InlineData("2026-01-02", "\"2026-01-02\"")]
    [InlineData("16MB", "\"16MB\"")]
    [InlineData("abc", "\"abc\"")]
    [InlineData("!!str 12", "\"12\"")]
    [InlineData("! 12", "\"12\"")]
    public void A_word_becomes_the_value_that_YAML_1_1_gives_it(string word, string json)
    {
        var tree = YamlText.ReadMapping($"key: {word}\n", "a.yml");

        Assert.Equal(json, tree.Root["key"]?.ToJsonString() ?? "null");
    }

    [Fact]
    public void A_text_that_grows_without_end_is_refused()
    {
        var bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + string.Concat(Enumerable.Range(0, 9).Select(level =>
            $"{(char)('b' + level)}: &{(char)('b' + level)} "
                + $"[{string.Join(',', Enumerable.Repeat($"*{(char)('a' + level)}", 10))}]\n"));
        var deep = "a: " + new string('[', 20_000) + new string(']', 20_000) + "\n";

        foreach (var text in new[] { bomb, deep })
        {
            var refused = Assert.Throws<SettingsFormatException>(() => YamlText.ReadMapping(text, "a.yml"));
            Assert.Contains("is no configuration", refused.Problem.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Anchors_and_merge_keys_are_followed_and_own_keys_win()
    {
        const string Yaml = """
            base: &base {sslmode: require, username: a}
            more: &more {username: b, sslcert: c}
            one:
              <<: *base
              username: own
            two:
              <<: [*base, *more]
            three: *base
            four:
              <<: *base
              <<: *more
              sslmode: own
            """;

        var root = YamlText.ReadMapping(Yaml, "a.yml").Root;

        Assert.Equal("""{"username":"own","sslmode":"require"}""", root["one"]!.ToJsonString());
        Assert.Equal("""{"sslmode":"require","username":"a","sslcert":"c"}""", root["two"]!.ToJsonString());
        Assert.True(JsonNode.DeepEquals(root["base"], root["three"]));
        Assert.Equal("""{"sslmode":"own","username":"b","sslcert":"c"}""", root["four"]!.ToJsonString());
    }

    [Fact]
    public void Letters_of_all_scripts_and_values_with_their_tags_are_read()
    {
        var root = YamlText.ReadMapping(
            "name: ümläut 😀 \u202Ex\nport: !!int 5432\n'on': !!bool yes\nnone: !!null ''\n", "a.yml").Root;

        Assert.Equal("ümläut 😀 \u202Ex", root["name"]!.GetValue<string>());
        Assert.Equal("5432, true, null", $"{root["port"]}, {root["on"]!.ToJsonString()}, {root["none"] ?? "null"}");
    }

    [Fact]
    public void A_block_text_keeps_its_lines() =>
        Assert.Equal("one;\ntwo;\n",
            YamlText.ReadMapping("command: |\n  one;\n  two;\n", "a.yml").Root["command"]!.GetValue<string>());

    [Theory]
    [InlineData("a: 1\nb: 2\na: 3\n", "a.yml:3: a: this key stands twice in the same mapping")]
    [InlineData("x:\n  a: 1\n  a: 1\n", "a.yml:3: x.a: this key stands twice in the same mapping")]
    [InlineData("- a\n- b\n", "a.yml: must be a mapping of keys to values")]
    [InlineData("a: 1\nb: \"x\0y\"\n",
        "a.yml:2: has the character U+0000, which YAML does not allow (is this UTF-16, or no text at all?)")]
    [InlineData("a: 1\r\n# \u0007\r\n", "a.yml:2: has the character U+0007, which YAML does not allow")]
    [InlineData("a: !!int abc\n", "a.yml:1: a: 'abc': is not what its YAML tag tag:yaml.org,2002:int says")]
    [InlineData("just words\n", "a.yml: must be a mapping of keys to values")]
    [InlineData("a: 1\n---\nb: 2\n", "a.yml:2: a second document begins here; only one is read")]
    [InlineData("a:\n  <<: 3\n", "a.yml:2: a: the merge key << needs a mapping or a list of mappings")]
    [InlineData(
        "a: !!python/object x\n", "a.yml:1: a: 'x': the YAML tag tag:yaml.org,2002:python/object is not understood")]
    public void What_is_no_configuration_is_refused_with_its_line(string yaml, string message)
    {
        var e = Assert.Throws<SettingsFormatException>(() => YamlText.ReadMapping(yaml, "a.yml"));

        Assert.Equal(message, e.Message);
    }

    [Theory]
    [InlineData("a: [1, 2\n", "a.yml:")]
    [InlineData("a: 'open\n", "a.yml:")]
    [InlineData("a: *nowhere\n", "a.yml:1:")]
    [InlineData("a:\n\t- tab\n", "a.yml:1:")]
    public void Broken_YAML_is_refused_with_its_line(string yaml, string start)
    {
        var e = Assert.Throws<SettingsFormatException>(() => YamlText.ReadMapping(yaml, "a.yml"));

        Assert.StartsWith(start, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_text_is_an_empty_tree() => Assert.Empty(YamlText.ReadMapping("# nothing\n", "a.yml").Root);

    [Theory]
    [InlineData("section.list[1]", "a.yml:4")]
    [InlineData("section.list[7]", "a.yml:2")]
    [InlineData("section.unknown", "a.yml:1")]
    [InlineData("nowhere", "a.yml")]
    public void Every_value_knows_its_line_or_that_of_its_nearest_parent(string path, string origin)
    {
        var tree = YamlText.ReadMapping("section:\n  list:\n    - a\n    - b\n", "a.yml");

        Assert.Equal(origin, tree.OriginOf(path));
    }
}
