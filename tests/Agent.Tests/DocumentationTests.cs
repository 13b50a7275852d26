using System.Globalization;
using System.Text.RegularExpressions;
using Routing.Settings;
using Routing.TestKit;

namespace Routing.Agent.Tests;

/// <summary>What operators look up in the documents is there, for all programs.</summary>
public sealed partial class DocumentationTests
{
    private static readonly string s_messages = Repository.Section("operations.md", "## Log messages");

    [Fact]
    public void No_number_of_a_log_event_stands_for_two()
    {
        var twice = Events().GroupBy(one => one.Id).Where(group => group.Count() > 1);

        AssertNone(twice.Select(group => $"{group.Key}: {string.Join(", ", group.Select(one => one.File))}"));
    }

    [Fact]
    public void Every_log_event_is_listed_and_every_listed_number_exists()
    {
        var known = Events().Select(one => one.Id).ToHashSet();
        var text = s_messages + Repository.Section("proxy.md", "### Log messages")
            + Repository.Section("driver.md", "## Watching it");
        var ranges = Range().Matches(text)
            .Select(match => (First: Whole(match.Groups[1].Value), Last: Whole(match.Groups[2].Value))).ToList();
        var listed = Number().Matches(text).Select(match => Whole(match.Value)).ToHashSet();

        AssertNone(known.Where(id =>
            !listed.Contains(id) && !ranges.Any(range => range.First <= id && id <= range.Last)));
        AssertNone(ListedEvent().Matches(text).SelectMany(line => Number().Matches(line.Value))
            .Select(match => Whole(match.Value)).Where(id => !known.Contains(id)));
    }

    [Fact]
    public void Every_reason_code_is_listed_and_every_listed_code_exists()
    {
        var sources = string.Concat(Repository.Sources("Ha").Values);
        var used = Code().Matches(sources).Select(match => match.Groups[1].Value).ToHashSet();
        var section = Repository.Section("operations.md", "## Reasons: why does this member do what it does");
        var end = section.IndexOf("\n### ", StringComparison.Ordinal);
        var listed = ListedCode().Matches(end < 0 ? section : section[..end])
            .SelectMany(line => Word().Matches(line.Groups[1].Value))
            .Select(match => match.Groups[1].Value).ToHashSet();

        Assert.NotEmpty(used);
        AssertNone(used.Except(listed));
        AssertNone(listed.Where(code =>
            !sources.Contains($"\"{code}\"", StringComparison.Ordinal)
            && !code.StartsWith("unhealthy_", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("Agent/Metrics", "operations.md", "## Metrics")]
    [InlineData("Proxy/Metrics", "proxy.md", "## Operation")]
    [InlineData("Driver/Diagnostics", "driver.md", "## Watching it")]
    public void Every_metric_is_listed_and_every_listed_metric_exists(string folder, string document, string heading)
    {
        var sources = string.Concat(Repository.Sources(folder).Values);
        var used = Metric().Matches(sources).Select(match => match.Groups[1].Value).ToHashSet();
        var listed = ListedMetric().Matches(Repository.Section(document, heading))
            .Select(match => match.Groups[1].Value).ToHashSet();

        Assert.NotEmpty(used);
        AssertNone(used.Except(listed));
        AssertNone(listed.Except(used));
    }

    [Fact]
    public void Every_setting_that_is_read_is_listed()
    {
        var agent = Repository.Document("configuration.md");
        var sample = Repository.Section("proxy.md", "## Settings");   // its settings stand in a file with comments
        var ofAgent = Readers(SettingsFile().IsMatch);
        var ofProxy = Readers(file => file.StartsWith("Proxy/Configuration/", StringComparison.Ordinal));

        Assert.True(ofAgent.Count > 70, $"{ofAgent.Count} keys");
        AssertNone(ofAgent.Where(key => !IsListed(key, agent)));
        Assert.True(ofProxy.Count > 20, $"{ofProxy.Count} keys");
        AssertNone(ofProxy.Where(key => !IsListed(key, agent) && !HasWord(key, sample)));
    }

    [Fact]
    public void Every_listed_setting_is_read()
    {
        var literals = Literal().Matches(string.Concat(Repository.Sources().Values))
            .Select(match => match.Groups[1].Value).ToHashSet();
        var text = Repository.Document("configuration.md");
        var settings = text[text.IndexOf("\n## Global", StringComparison.Ordinal)..];

        var listed = ListedSetting().Matches(settings).SelectMany(line => Quoted().Matches(line.Groups[1].Value))
            .Select(match => match.Groups[1].Value)
            .Where(key => Name().IsMatch(key))
            .ToList();

        Assert.True(listed.Count > 100, $"{listed.Count} settings");
        AssertNone(listed.Where(key => !literals.Contains(key) && !literals.Contains(key.Split('.')[^1])));
    }

    [Fact]
    public void Every_variable_of_the_agent_is_listed_by_its_setting()
    {
        var text = Repository.Document("configuration.md");

        AssertNone(EnvironmentSchema.Agent
            .Where(variable => !Other().IsMatch(variable.Path))
            .Where(variable => !IsListed(variable.Path.Split('.')[^1], text))
            .Select(variable => variable.Suffix));
        AssertNone(Variable().Matches(text).Select(match => match.Groups[1].Value)
            .Where(suffix => suffix != "CONFIGURATION"
                && !EnvironmentSchema.Agent.Any(variable => $"{variable.Suffix}_FILE" == suffix
                    || variable.Suffix == suffix)));
    }

    /// <summary>Fails with all that are left, not with the first few.</summary>
    private static void AssertNone<T>(IEnumerable<T> left)
    {
        var all = string.Join(", ", left);
        Assert.True(all.Length == 0, all);
    }

    private static List<(int Id, string File)> Events() =>
    [
        .. from source in Repository.Sources()
           from Match match in EventId().Matches(source.Value)
           select (Whole(match.Groups[1].Value), source.Key),
    ];

    /// <summary>The keys that readers ask a section for.</summary>
    private static HashSet<string> Readers(Func<string, bool> isReader) =>
    [
        .. from source in Repository.Sources()
           where isReader(source.Key)
           from Match match in Reading().Matches(source.Value)
           select match.Groups[1].Value,
    ];

    private static bool IsListed(string key, string document) =>
        Quoted().Matches(document).Any(match => HasWord(key, match.Groups[1].Value));

    private static bool HasWord(string key, string text) => Regex.IsMatch(text, $@"(?<!\w){key}(?!\w)");

    private static int Whole(string digits) => int.Parse(digits, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\[LoggerMessage\(\s*EventId = (\d+)")]
    private static partial Regex EventId();

    [GeneratedRegex(@"\b(\d{4}) – (\d{4})\b")]
    private static partial Regex Range();

    [GeneratedRegex(@"(?<![\w.])[1-8]\d{3}(?![\w.]*\w)")]
    private static partial Regex Number();

    [GeneratedRegex(@"^- \d{4}[^(:]*", RegexOptions.Multiline)]
    private static partial Regex ListedEvent();

    [GeneratedRegex("""(?:new Decision\(|\b(?:Act|Wait|Refuse)\(o, )\s*"([a-z]+(?:_[a-z]+)*)",""")]
    private static partial Regex Code();

    [GeneratedRegex(@"^- ((?:`[a-z_]+`(?:, )?)+)", RegexOptions.Multiline)]
    private static partial Regex ListedCode();

    [GeneratedRegex("`([a-z_]+)`")]
    private static partial Regex Word();

    [GeneratedRegex(@"""((?:patroni|routing)_[a-z_]+|routing\.driver\.[a-z.]+)""")]
    private static partial Regex Metric();

    [GeneratedRegex(@"`((?:patroni|routing)_[a-z_]+|routing\.driver\.[a-z.]+)`")]
    private static partial Regex ListedMetric();

    [GeneratedRegex("""\.[A-Z]\w*(?:<\w+>)?\("([a-z][a-z_0-9]*)"[,)]""")]
    private static partial Regex Reading();

    [GeneratedRegex(@"""([A-Za-z][A-Za-z_0-9.]*)""")]
    private static partial Regex Literal();

    [GeneratedRegex(@"^- ((?:`[^`]+`(?:, )?)+)", RegexOptions.Multiline)]
    private static partial Regex ListedSetting();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"^\.?[a-z][a-z0-9]*(?:[._][a-z0-9]+)*$")]
    private static partial Regex Name();

    [GeneratedRegex(@"^(?:Agent\.Config|Settings/Postgres|Hosting)/.*(?:Reader|Section)\.cs$"
        + @"|^Cluster/Keys/(?:Dynamic|Slot)ConfigReader\.cs$")]
    private static partial Regex SettingsFile();

    [GeneratedRegex(@"^(?:consul|zookeeper|exhibitor|kubernetes|raft|citus)\.")]
    private static partial Regex Other();

    [GeneratedRegex(@"PATRONI_([A-Z_0-9]+)(?![…A-Z_0-9])")]
    private static partial Regex Variable();
}
