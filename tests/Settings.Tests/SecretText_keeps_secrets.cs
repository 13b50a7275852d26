using Xunit;

namespace Routing.Settings.Tests;

public sealed class SecretText_keeps_secrets
{
    [Theory]
    [InlineData("etcd3.hosts", "http://u:p@w@h:2379", "http://***@h:2379")]
    [InlineData("postgresql.proxy_address", "postgres://u:p@h:x", "postgres://***@h:x")]
    [InlineData("postgresql.parameters.x", "host=a password = 'b c' port=1", "host=a password = *** port=1")]
    [InlineData("postgresql.authentication.superuser.username", "boss", "boss")]
    [InlineData("postgresql.listen", "127.0.0.1:x", "127.0.0.1:x")]
    [InlineData("restapi.keyfile", "/etc/key", "/etc/key")]
    [InlineData("postgresql.authentication.superuser.password", "x", null)]
    [InlineData("postgresql.authentication", "x", null)]
    [InlineData("etcd3.password", "x", null)]
    [InlineData("post_bootstrap", "x", null)]
    [InlineData("consul.token", "x", null)]
    [InlineData("postgresql.recovery_conf.primary_conninfo", "x", null)]
    public void Of_a_value_that_is_shown(string path, string value, string? shown)
    {
        Assert.Equal(shown, SecretText.Shown(path, value));
        Assert.Equal(shown, new SettingsProblem("", path, value, "must be something else").Value);
    }

    [Fact]
    public void A_report_line_of_a_setting_ends_with_its_place() => Assert.Equal(
        "log.file_num -1 must be at least 0 (a.yml:3)",
        new SettingsProblem("a.yml:3", "log.file_num", "-1", "must be at least 0").ToReportLine());

    [Fact]
    public void What_a_terminal_obeys_is_shown_by_its_number_and_what_is_long_is_cut()
    {
        var problem = new SettingsProblem("a.yml:1", "name", "a\u0007\n\u202E" + new string('x', 300), "is wrong");

        Assert.Equal($@"a.yml:1: name: 'a\u0007\u000A\u202E{new string('x', 196)}… (304 characters)': is wrong",
            problem.ToString());
        Assert.StartsWith(@"name a\u0007\u000A\u202Exx", problem.ToReportLine(), StringComparison.Ordinal);
        Assert.Equal("name: 'zoë 😀': ok", new SettingsProblem("", "name", "zoë 😀", "ok").ToString());
    }

    [Fact]
    public void A_report_line_without_a_setting_begins_with_its_place() => Assert.Equal(
        "a.yml:3: is no valid YAML", new SettingsProblem("a.yml:3", "", null, "is no valid YAML").ToReportLine());
}
