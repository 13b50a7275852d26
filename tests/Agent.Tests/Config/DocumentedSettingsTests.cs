using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Hosting.Logging;
using Routing.Settings;
using Routing.TestKit;

namespace Routing.Agent.Tests.Config;

/// <summary>
/// Default, unit, range, words and reload letter of each setting in the documents are those of the reader.
/// </summary>
public sealed class DocumentedSettingsTests
{
    private const string Document = "configuration.md";

    private static readonly Role[] s_roles = [Role.Primary, Role.Replica, Role.StandbyLeader];

    private static readonly SettingProbe s_local = new(
        ReadLocal,
        [
            Baseline("""{"hosts": "127.0.0.1:2379", "cert": "/tmp/cert"}"""),
            Baseline("""{"hosts": "127.0.0.1"}"""),
            Baseline("""{"srv": "example.org"}"""),
        ],
        static (before, after) =>
            !SettingsChange.Between((AgentSettings)before, (AgentSettings)after).NeedProcessRestart.IsEmpty);

    private static readonly SettingProbe s_shared = new(ReadShared, [Baseline("""{"hosts": "127.0.0.1:2379"}""")]);

    private static readonly SettingProbe s_bootstrap = new(
        ReadBootstrap,
        [Baseline("""{"hosts": "127.0.0.1:2379"}""", """{"initdb": ["no-sync"], "other": {"command": "/bin/true"}}""")]);

    private static readonly SettingProbe s_dynamic = new(ReadDynamic, [[]]);

    [Theory]
    [InlineData("## Global", "")]
    [InlineData("## `log`", "log.")]
    [InlineData("## `restapi`", "restapi.")]
    [InlineData("## `ctl`", "ctl.")]
    [InlineData("## `etcd3` (or `etcd`)", "etcd3.")]
    [InlineData("## `postgresql`, local only", "postgresql.")]
    [InlineData("## `watchdog`", "watchdog.")]
    [InlineData("## `pgbackrest`", "pgbackrest.")]
    public void A_local_setting_is_read_as_its_entry_says(string heading, string prefix) =>
        AssertAll(s_local, DocumentedSetting.Of(Repository.Section(Document, heading), prefix));

    [Fact]
    public void A_setting_of_the_server_is_in_force_as_its_entry_says() => AssertAll(
        s_shared,
        DocumentedSetting.Of(Repository.Section(Document, "## `postgresql`, local or dynamic"), "postgresql."));

    [Fact]
    public void A_setting_of_the_bootstrap_is_read_as_its_entry_says() =>
        AssertAll(s_bootstrap, DocumentedSetting.Of(Repository.Section(Document, "## `bootstrap`"), "bootstrap."));

    [Fact]
    public void A_tag_means_what_its_row_says()
    {
        var properties = typeof(MemberTags).GetProperties()
            .ToDictionary(property => property.Name, StringComparer.OrdinalIgnoreCase);
        var rows = Repository.Section(Document, "## `tags`").Split('\n').Where(line => line.StartsWith("| `"))
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries))
            .SelectMany(cells => cells[1].Split(", ").Zip(cells[2].Split(", "))).ToList();

        Assert.Equal(8, rows.Count);
        Assert.All(rows, row =>
        {
            var (tag, byDefault) = (row.First.Trim('`'), row.Second);
            var property = properties[tag.Replace("_", "", StringComparison.Ordinal)];
            Assert.Equal(byDefault, property.GetValue(MemberTags.Empty) switch
            {
                bool flag => flag ? "true" : "false",
                int number => $"{number}",
                var text => text is null ? "the leader" : $"{text}",
            });
            JsonNode other = byDefault switch { "false" => true, "1" => 7, _ => "n2" };
            var tags = Tags(tag, other);
            Assert.Equal($"{other}", $"{property.GetValue(tags)}", ignoreCase: true);
        });

        static MemberTags Tags(string tag, JsonNode value)
        {
            var configuration = Baseline("""{"hosts": "127.0.0.1:2379"}""");
            configuration["tags"] = new JsonObject { [tag] = value };
            return new MemberTags(((AgentSettings)ReadLocal(configuration).Settings!).Tags);
        }
    }

    [Fact]
    public async Task The_log_is_written_as_the_defaults_of_its_formats_say()
    {
        var section = Repository.Section(Document, "## `log`");
        var format = Regex.Match(section, "`format` [^`]*`[^`]*`; default as `([^`]*)`").Groups[1].Value;
        var date = Regex.Match(section, "`dateformat` [^`]*`[^`]*`; default as `([^`]*)`").Groups[1].Value;
        Assert.Contains("%(message)s", format, StringComparison.Ordinal);

        var line = Assert.Single(await WriteAsync(new LogSettings(), DateTime.Parse(
            date.Replace(',', '.'), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal)));

        Assert.Equal(format.Replace("%(asctime)s", date, StringComparison.Ordinal)
            .Replace("%(levelname)s", "INFO", StringComparison.Ordinal)
            .Replace("%(message)s", "hello", StringComparison.Ordinal), line);
    }

    [Fact]
    public void A_dynamic_setting_is_read_as_its_entry_says()
    {
        var section = Repository.Section(Document, "## The dynamic configuration");
        var health = section.IndexOf("`routing_health` is our own section", StringComparison.Ordinal);

        AssertAll(s_dynamic, DocumentedSetting.Of(section[..health], ""));
        AssertAll(s_dynamic, DocumentedSetting.Of(section[health..], "routing_health."));
    }

    private static void AssertAll(SettingProbe probe, IReadOnlyList<DocumentedSetting> settings)
    {
        Assert.NotEmpty(settings);
        // Names with a gap stand for many; what they are read by has tests of its own.
        var problems = settings.Where(one => !one.Path.Contains('…', StringComparison.Ordinal))
            .Select(one => one with { Path = one.Path.Replace("ROLE", "primary", StringComparison.Ordinal) })
            .SelectMany(probe.ProblemsOf).ToList();
        Assert.True(problems.Count == 0, string.Join('\n', problems));
    }

    /// <summary>
    /// Reads the whole text from a variable: thousands of configurations are read, and no file is needed.
    /// </summary>
    private static AgentSettingsResult Load(JsonObject configuration) =>
        AgentSettingsReader.Load(null, SettingsEnvironment.From(
            AgentSettingsReader.EnvironmentPrefix,
            [KeyValuePair.Create("PATRONI_CONFIGURATION", configuration.ToJsonString())]));

    private static ProbedSettings ReadLocal(JsonObject configuration)
    {
        var result = Load(configuration);
        return new ProbedSettings(
            result.Settings,
            [.. result.Errors.Select(error => error.ToString())],
            [.. result.Warnings.Select(warning => warning.ToString())]);
    }

    /// <summary>What is wrong in it keeps no agent from starting: it is an error all the same.</summary>
    private static ProbedSettings ReadBootstrap(JsonObject configuration)
    {
        var result = Load(configuration);
        return new ProbedSettings(
            result.Settings?.Bootstrap,
            [.. result.Errors.Concat(result.BootstrapErrors).Select(error => error.ToString())],
            [.. result.Warnings.Select(warning => warning.ToString())]);
    }

    private static async Task<string[]> WriteAsync(LogSettings settings, DateTimeOffset now)
    {
        using var console = new StringWriter();
        var log = new ProgramLog(settings, new FakeTimeProvider(now), console);
        using (var factory = log.CreateFactory())
        {
            factory.CreateLogger("ha").LogInformation("hello");
            await log.DisposeAsync();
        }
        return console.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>What is in force after local and dynamic settings are combined.</summary>
    private static ProbedSettings ReadShared(JsonObject configuration)
    {
        var read = ReadLocal(configuration);
        return read with
        {
            Settings = read.Settings is AgentSettings settings
                ? s_roles.Select(role => EffectivePostgresConfig.Combine(settings, DynamicConfig.Default, role, 17))
                    .ToArray()
                : null,
        };
    }

    private static ProbedSettings ReadDynamic(JsonObject configuration)
    {
        var config = DynamicConfigReader.Read(JsonElement.Parse(configuration.ToJsonString()), 0);
        return new ProbedSettings(config with { Raw = default, Postgresql = default }, config.Problems, []);
    }

    private static JsonObject Baseline(string etcd, string bootstrap = "null") => JsonNode.Parse($$"""
        {
          "scope": "orders", "name": "n1", "etcd3": {{etcd}}, "bootstrap": {{bootstrap}},
          "restapi": { "listen": "127.0.0.2:8008" , "certfile": "/tmp/cert",
            "authentication": { "username": "u", "password": "p" } },
          "ctl": { "authentication": { "username": "u", "password": "p" } },
          "pgbackrest": { "stanza": "orders" },
          "postgresql": {
            "listen": "127.0.0.2:5432", "data_dir": "/tmp/routing-nowhere/data",
            "authentication": {
              "superuser": { "username": "postgres", "password": "s" },
              "replication": { "username": "replicator", "password": "r" }
            }
          }
        }
        """)!.AsObject();
}
