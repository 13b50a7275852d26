using Routing.Cluster;

namespace Routing.Cli.Tests;

/// <summary><c>rebuild-keys</c>: an empty DCS gets what the members know, and nothing else gets there.</summary>
public sealed class RebuildKeysTests
{
    private const string System = "7412345678901234567";
    private const string Config = """{"ttl":30,"synchronous_mode":true}""";

    [Fact]
    public async Task The_keys_are_those_that_the_member_with_the_most_goes_by()
    {
        await using var first = Member("pg-a", "replica", 100);
        await using var second = Member("pg-b", "replica", 200, config: """{"ttl":20}""");
        var ctl = Lost();

        var dry = await ctl.RunAsync($"rebuild-keys pay --member {first.Address} -m {second.Address}/ --dry-run");
        Assert.Equal((0, ""), (dry.ExitCode, dry.Error));
        Assert.Empty(ctl.Dcs.Keys);
        var ended = await ctl.RunAsync($"rebuild-keys pay --member {first.Address} -m {second.Address}", "y");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Contains("  pg-b: replica, running, timeline 4, WAL to 0/C8\n  pg-a: replica", ended.Output,
            StringComparison.Ordinal);
        Assert.Contains("None of them is a primary", ended.Output, StringComparison.Ordinal);
        Assert.Equal(["config", "initialize"], ctl.Dcs.Keys.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(System, ctl.Dcs.Keys[ClusterKeys.Initialize].Value);
        Assert.Equal("""{"ttl":20}""", ctl.Dcs.Keys[ClusterKeys.Config].Value);
    }

    [Fact]
    public async Task Members_that_have_their_keys_there_already_need_no_address()
    {
        await using var first = Member("pg-a", "primary", 100);
        var ctl = Lost();
        ctl.PutMember("pg-a", $$"""{"api_url":"{{first.ApiUrl}}","role":"primary","state":"running"}""");
        ctl.Dcs.Put(ClusterKeys.Config, """{"ttl":44}""");

        var ended = await ctl.RunAsync("rebuild-keys pay --force");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Contains("(config is there, and stays)", ended.Output, StringComparison.Ordinal);
        Assert.Equal("""{"ttl":44}""", ctl.Dcs.Keys[ClusterKeys.Config].Value);
        Assert.Equal(System, ctl.Dcs.Keys[ClusterKeys.Initialize].Value);
        Assert.DoesNotContain(ClusterKeys.Leader, ctl.Dcs.Keys.Keys);
    }

    [Fact]
    public async Task Where_a_leader_or_the_key_initialize_is_nothing_is_written()
    {
        await Ctl.RefusesAsync("rebuild-keys pay --force", "pg-a leads pay: it writes the keys that are missing");
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Delete(ClusterKeys.Leader);

        var ended = await ctl.RunAsync("rebuild-keys pay --force");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("Error: The DCS knows pay already", ended.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("primary", "primary", System, "pay", "pg-a and pg-b are both primaries")]
    [InlineData("primary", "replica", "7412345678901234568", "pay", "pg-a has the system identifier")]
    [InlineData("primary", "replica", System, "shop", "is a member of shop, not of pay")]
    public async Task Members_that_do_not_fit_together_are_refused(
        string first, string second, string system, string scope, string error)
    {
        await using var a = Member("pg-a", first, 100);
        await using var b = Member("pg-b", second, 100, system, scope);
        var ctl = Lost();

        var ended = await ctl.RunAsync($"rebuild-keys pay --member {a.Address} --member {b.Address} --force");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains(error, ended.Error, StringComparison.Ordinal);
        Assert.Empty(ctl.Dcs.Keys);
    }

    [Fact]
    public async Task A_member_that_is_silent_or_a_no_keeps_everything_as_it_is()
    {
        await using var first = Member("pg-a", "primary", 100);
        var ctl = Lost();

        var silent = await ctl.RunAsync(
            $"rebuild-keys pay --member {first.Address} --member http://127.0.0.1:1 --force");
        var twice = await ctl.RunAsync(
            $"rebuild-keys pay --member {first.Address} --member {first.Address} --force");
        var declined = await ctl.RunAsync($"rebuild-keys pay --member {first.Address}", "n");
        var nobody = await ctl.RunAsync("rebuild-keys pay --force");

        Assert.Contains("http://127.0.0.1:1 gives no answer, and may have more", silent.Error,
            StringComparison.Ordinal);
        Assert.Contains("Two of the addresses are those of pg-a", twice.Error, StringComparison.Ordinal);
        Assert.Contains("Nothing was written: a member elsewhere may lead", declined.Error, StringComparison.Ordinal);
        Assert.Contains("The DCS names no member", nobody.Error, StringComparison.Ordinal);
        Assert.Empty(ctl.Dcs.Keys);
    }

    private static Ctl Lost()
    {
        var ctl = new Ctl();
        ctl.Variables["DCS_URL"] = "localhost";
        return ctl;
    }

    private static RestStub Member(
        string name, string role, ulong position, string system = System, string scope = "pay",
        string config = Config) => RestStub.Start(call => (200, call.Line switch
        {
            "GET /config" => config,
            _ => $$"""
                {"state":"running","role":"{{role}}","timeline":4,"database_system_identifier":"{{system}}",
                 "xlog": { "{{(role == "primary" ? "location" : "replayed_location")}}": {{position}} },
                 "patroni":{"version":"4.1.4","scope":"{{scope}}","name":"{{name}}"} }
                """,
        }));
}
