using Xunit;

namespace Routing.Settings.Tests;

/// <summary>
/// A value may stand in a file of its own: named by <c>…_FILE</c>, or among the credentials of systemd.
/// </summary>
public sealed class SettingsEnvironment_reads_secrets_from_files : IDisposable
{
    private const string Password = "postgresql.authentication.superuser.password";
    private readonly Scratch _scratch = new();
    private readonly SettingsReport _report = new();

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("geheim\n", "geheim")]
    [InlineData("geheim\r\n", "geheim")]
    [InlineData("geheim", "geheim")]
    [InlineData(" two\nlines \n\n", " two\nlines \n")]
    public void A_variable_with_FILE_names_the_file_of_a_value(string content, string value)
    {
        var file = _scratch.Write("secret", content);

        var tree = Load(("PATRONI_SUPERUSER_PASSWORD_FILE", file));

        Assert.Equal(value, PasswordOf(tree));
        Assert.Equal("PATRONI_SUPERUSER_PASSWORD_FILE", tree.OriginOf(Password));
        Assert.Empty(_report.Errors);
        Assert.Empty(_report.Warnings);
    }

    [Fact]
    public void A_credential_of_systemd_has_the_name_of_a_variable()
    {
        var file = _scratch.Write("PATRONI_SUPERUSER_PASSWORD", "geheim\n");
        _scratch.Write("other-program.key", "not for us");

        var tree = Load(("CREDENTIALS_DIRECTORY", _scratch.Directory));

        Assert.Equal("geheim", PasswordOf(tree));
        Assert.Equal(file, tree.OriginOf(Password));
        Assert.Empty(_report.Errors);
        Assert.Empty(_report.Warnings);
    }

    [Fact]
    public void A_variable_has_precedence_over_a_credential()
    {
        _scratch.Write("PATRONI_SUPERUSER_PASSWORD", "credential");

        var tree = Load(
            ("CREDENTIALS_DIRECTORY", _scratch.Directory), ("PATRONI_SUPERUSER_PASSWORD", "variable"));

        Assert.Equal("variable", PasswordOf(tree));
    }

    [Fact]
    public void A_file_is_read_anew_by_each_reading()
    {
        var file = _scratch.Write("secret", "before");
        var environment = SettingsEnvironment.From(
            "PATRONI_", [KeyValuePair.Create("PATRONI_SUPERUSER_PASSWORD_FILE", file)]);

        var before = PasswordOf(SettingsLoader.Load(null, environment, EnvironmentSchema.Agent, _report));
        _scratch.Write("secret", "after");
        var after = PasswordOf(SettingsLoader.Load(null, environment, EnvironmentSchema.Agent, _report));

        Assert.Equal(("before", "after"), (before, after));
    }

    [Fact]
    public void A_list_may_stand_in_a_file_too()
    {
        var tree = Load(("PATRONI_ETCD3_HOSTS_FILE", _scratch.Write("hosts", "a:2379,b:2379\n")));

        Assert.Equal("""["a:2379","b:2379"]""", tree.Root["etcd3"]!["hosts"]!.ToJsonString());
    }

    [Fact]
    public void A_file_that_is_missing_is_an_error() => Refused(
        "PATRONI_SUPERUSER_PASSWORD_FILE: postgresql.authentication.superuser.password: can't be read: ",
        ("PATRONI_SUPERUSER_PASSWORD_FILE", "/nowhere/secret"));

    [Fact]
    public void An_empty_file_is_an_error() => Refused(
        $"PATRONI_SUPERUSER_PASSWORD_FILE: {Password}: the file {_scratch.Directory}/secret is empty",
        ("PATRONI_SUPERUSER_PASSWORD_FILE", _scratch.Write("secret", "\n")));

    [Fact]
    public void A_value_in_a_variable_and_in_a_file_is_an_error() => Refused(
        $"PATRONI_SUPERUSER_PASSWORD: {Password}: is set as well as PATRONI_SUPERUSER_PASSWORD_FILE: "
            + "one of the two may be",
        ("PATRONI_SUPERUSER_PASSWORD", "geheim"),
        ("PATRONI_SUPERUSER_PASSWORD_FILE", _scratch.Write("secret", "geheim")));

    [Fact]
    public void A_credential_of_our_prefix_that_is_no_setting_is_named()
    {
        _scratch.Write("PATRONI_SUPERUSER_PASWORD", "geheim");

        Load(("CREDENTIALS_DIRECTORY", _scratch.Directory), ("PATRONI_NAME", "n1"));

        Assert.StartsWith("PATRONI_SUPERUSER_PASWORD: this credential has the name of no known environment variable",
            Assert.Single(_report.Warnings).ToString(), StringComparison.Ordinal);
    }

    private static string? PasswordOf(SettingsTree tree) =>
        tree.Root["postgresql"]?["authentication"]?["superuser"]?["password"]?.GetValue<string>();

    private void Refused(string message, params (string Name, string Value)[] variables)
    {
        Load(variables);

        var error = Assert.Single(_report.Errors).ToString();
        Assert.StartsWith(message, error, StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", error, StringComparison.Ordinal);
    }

    private SettingsTree Load(params (string Name, string Value)[] variables) => SettingsLoader.Load(
        null,
        SettingsEnvironment.From(
            "PATRONI_", variables.Select(variable => KeyValuePair.Create(variable.Name, variable.Value))),
        EnvironmentSchema.Agent,
        _report);
}
