using System.Text;
using System.Text.Json;
using Routing.Agent.Config;
using Routing.Cluster.Keys;
using Routing.TestKit;

namespace Routing.Agent.Tests.Config;

/// <summary>The copy of the dynamic configuration in the data directory, whatever has become of it.</summary>
public sealed class DynamicConfigCacheTests : IDisposable
{
    private readonly TempDirectory _data = new("cache");
    private readonly List<string> _warnings = [];

    private string Copy => _data["patroni.dynamic.json"];

    public void Dispose() => _data.Dispose();

    [Theory]
    [InlineData("{\"ttl\": 20}")]
    [InlineData("\uFEFF{\"ttl\": 20}\n")]
    public void A_whole_copy_is_read(string text)
    {
        File.WriteAllText(_data["patroni.dynamic.json"], text);

        Assert.Equal(20, DynamicConfigReader.Read(Read()!.Value, 0).Timing.Ttl.TotalSeconds);
        Assert.Empty(_warnings);
    }

    [Fact]
    public void None_is_nothing_to_speak_of()
    {
        Assert.Null(Read());
        Assert.Empty(_warnings);
    }

    [Theory]
    [InlineData("", "JSON")]
    [InlineData("{\"ttl\": 20", "")]
    [InlineData("[1]", "it holds no JSON object")]
    [InlineData("null", "it holds no JSON object")]
    [InlineData("\0\0\0\0\0\0\0\0", "")]
    [InlineData("{\"a\": \"\u00FF\"}", "it is not UTF-8")]
    public void A_copy_that_can_not_be_used_counts_as_missing_and_is_told(string latin1, string why)
    {
        File.WriteAllBytes(Copy, Encoding.Latin1.GetBytes(latin1));

        Assert.Null(Read());
        var warning = Assert.Single(_warnings);
        Assert.StartsWith($"{Copy} counts as missing: ", warning, StringComparison.Ordinal);
        Assert.Contains(why, warning, StringComparison.Ordinal);
    }

    [Fact]
    public void So_does_what_can_not_be_read()
    {
        Directory.CreateDirectory(Copy);
        Assert.Null(Read());
        Directory.Delete(Copy);
        File.WriteAllText(Copy, "{}");
        File.SetUnixFileMode(Copy, UnixFileMode.None);

        Assert.Equal(Environment.UserName == "root", Read() is not null);
        Assert.NotEmpty(_warnings);
    }

    [Fact]
    public void What_another_user_has_left_is_replaced()
    {
        File.WriteAllText(_data["PG_VERSION"], "15\n");
        File.WriteAllText(Copy, "{}");
        File.SetUnixFileMode(Copy, UnixFileMode.None);

        DynamicConfigCache.Write(_data.Path, DynamicConfigReader.Read(JsonElement.Parse("{\"ttl\":20}"), 7));

        Assert.Equal("{\"ttl\":20}", File.ReadAllText(Copy));
    }

    private JsonElement? Read() => DynamicConfigCache.Read(_data.Path, _warnings.Add);
}
