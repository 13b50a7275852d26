using System.Text.Json.Nodes;
using Routing.Proxy.Configuration;
using Routing.Settings;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Configuration;

/// <summary>
/// Default, unit, range, words and reload of each setting in the proxy's document are those of the reader.
/// </summary>
public sealed class DocumentedSettingsTests
{
    private static readonly SettingProbe s_probe = new(
        Read,
        [
            Baseline("""{"etcd3": {"hosts": "127.0.0.1:2379"}}"""),
            Baseline(
                """{"rest": {"hosts": "127.0.0.1:8008", "cert": "/tmp/cert"}, "auth_query": {"user": "proxy"}}"""),
        ],
        static (before, after) =>
            !ProxySettingsChange.Between((ProxySettings)before, (ProxySettings)after).NeedRestart.IsEmpty);

    [Fact]
    public void A_setting_is_read_as_its_entry_says()
    {
        var section = Repository.Section("proxy.md", "## Settings");
        var listeners = section.IndexOf("Each entry of `listeners`", StringComparison.Ordinal);
        IReadOnlyList<DocumentedSetting> settings =
        [
            .. DocumentedSetting.Of(section[..listeners], ""),
            .. DocumentedSetting.Of(section[listeners..], "listeners.write."),
        ];

        var problems = settings.SelectMany(s_probe.ProblemsOf).ToList();

        Assert.True(settings.Count > 50, $"{settings.Count} settings");
        Assert.True(problems.Count == 0, string.Join('\n', problems));
    }

    private static ProbedSettings Read(JsonObject configuration)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, configuration.ToJsonString());
            var result = ProxySettingsReader.Load(file, SettingsEnvironment.From(ProxySettingsReader.Prefix, []));
            return new ProbedSettings(
                result.Settings,
                [.. result.Errors.Select(error => error.ToString())],
                [.. result.Warnings.Select(warning => warning.ToString())]);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static JsonObject Baseline(string source)
    {
        var configuration = JsonNode.Parse(source)!.AsObject();
        configuration["scope"] = "orders";
        configuration["listeners"] = JsonNode.Parse("""{"write": {"listen": "127.0.0.1:5000", "role": "primary"}}""");
        return configuration;
    }
}
