using Routing.Cli.Configuration;
using Routing.TestKit;

namespace Routing.Cli.Tests;

public sealed class ConfigurationTests
{
    private const string AgentFile = """
        scope: demo
        namespace: /db/
        name: pg-a
        etcd3:
          hosts: 10.0.0.1:2379,10.0.0.2:2379
          username: ctl
          password: secret
        restapi:
          listen: 0.0.0.0:8008
          cafile: /etc/ca.pem
          authentication: {username: rest, password: r}
        ctl:
          insecure: 'on'
        postgresql:
          listen: 0.0.0.0:5432
        tags: {nofailover: false}
        """;

    [Fact]
    public void The_agents_own_file_will_do()
    {
        using var directory = new TempDirectory();
        File.WriteAllText(directory["agent.yml"], AgentFile);

        var settings = Load(new(), file: directory["agent.yml"]);

        Assert.Equal(("demo", "/db/"), (settings.Scope, settings.Namespace));
        Assert.Equal(["http://10.0.0.1:2379/", "http://10.0.0.2:2379/"],
            settings.Etcd.Endpoints.Select(endpoint => endpoint.ToString()));
        Assert.Equal(("ctl", "secret"), (settings.Etcd.Username, settings.Etcd.Password));
        Assert.Equal(("rest", "r"), settings.Api.Credentials);
        Assert.Equal((true, "/etc/ca.pem"), (settings.Api.Insecure, settings.Api.CaFile));
        Assert.Equal("/db/demo", settings.BasePath("demo", null));
    }

    [Fact]
    public void The_superuser_is_read_and_what_is_wrong_with_it_does_not_matter()
    {
        using var directory = new TempDirectory();
        File.WriteAllText(
            directory["agent.yml"], "postgresql: {authentication: {superuser: {username: boss, password: 12}}}\n");
        File.WriteAllText(directory["wrong.yml"], "postgresql: {authentication: {superuser: [boss]}}\nscope: demo\n");

        var settings = Load(new(), file: directory["agent.yml"]);
        var wrong = Load(new(), file: directory["wrong.yml"]);

        Assert.Equal(new("boss", "12", "postgres"), settings.Superuser);
        Assert.Equal("demo", wrong.Scope);
    }

    [Fact]
    public void The_environment_lies_over_the_file_and_options_lie_over_both()
    {
        using var directory = new TempDirectory();
        File.WriteAllText(directory["agent.yml"], AgentFile);
        var variables = new Dictionary<string, string>
        {
            ["PATRONICTL_CONFIG_FILE"] = directory["agent.yml"],
            ["PATRONI_SCOPE"] = "other",
            ["PATRONI_ETCD3_HOSTS"] = "10.0.0.9:2379",
            ["PATRONI_CTL_INSECURE"] = "off",
        };

        var settings = Load(variables);
        var withOptions = Load(variables, dcsUrl: "etcd3://10.1.1.1/ns", insecure: true);

        Assert.Equal(("other", "http://10.0.0.9:2379/", false),
            (settings.Scope, settings.Etcd.Endpoints[0].ToString(), settings.Api.Insecure));
        Assert.Equal(
            ("http://10.1.1.1:2379/", "/ns", true),
            (withOptions.Etcd.Endpoints[0].ToString(), withOptions.Namespace, withOptions.Api.Insecure));
        Assert.Null(withOptions.Etcd.Username);
    }

    [Fact]
    public void The_default_file_stands_in_the_users_configuration_folder()
    {
        using var directory = new TempDirectory();
        Directory.CreateDirectory(directory["patroni"]);
        File.WriteAllText(directory["patroni/patronictl.yaml"], AgentFile);

        var settings = Load(new() { ["XDG_CONFIG_HOME"] = directory.Path });

        Assert.Equal("demo", settings.Scope);
    }

    [Fact]
    public void A_missing_default_file_is_fine_and_a_missing_named_one_is_not()
    {
        var settings = Load(new(), dcsUrl: "localhost");
        var missing = Assert.Throws<CtlException>(() => Load(new(), file: "/nonexistent/ctl.yml"));

        Assert.Null(settings.Scope);
        Assert.Contains("/nonexistent/ctl.yml does not exist", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_any_word_on_etcd_the_error_says_where_it_could_stand()
    {
        var settings = Load(new() { ["PATRONI_SCOPE"] = "demo" });

        var missing = Assert.Throws<CtlException>(() => settings.Etcd);

        Assert.Contains("--dcs-url", missing.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_value_is_named_with_its_file_and_path()
    {
        using var directory = new TempDirectory();
        File.WriteAllText(directory["ctl.yml"], "scope: demo\netcd3: {hosts: 'localhost:99999'}\n");

        var wrong = Assert.Throws<CtlException>(() => Load(new(), file: directory["ctl.yml"]));

        Assert.Contains("ctl.yml:2", wrong.Message, StringComparison.Ordinal);
        Assert.Contains("etcd3.hosts", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_DCS_than_etcd_is_refused()
    {
        using var directory = new TempDirectory();
        File.WriteAllText(directory["ctl.yml"], "scope: demo\nconsul: {host: 'localhost:8500'}\n");

        var wrong = Assert.Throws<CtlException>(() => Load(new(), file: directory["ctl.yml"]));

        Assert.Contains("only etcd", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_scope_of_the_configuration_is_the_cluster_that_is_meant()
    {
        var ctl = new Ctl().WithPay();
        ctl.Variables["PATRONI_SCOPE"] = "pay";

        var ended = await ctl.RunAsync("list");

        Assert.Equal(0, ended.ExitCode);
        Assert.Equal("/service/pay", ctl.Opened[0].BasePath);
    }

    [Theory]
    [InlineData("localhost", "http://localhost:2379/", null)]
    [InlineData("10.0.0.1:12379", "http://10.0.0.1:12379/", null)]
    [InlineData(":12379", "http://localhost:12379/", null)]
    [InlineData("etcd://etcd-1", "http://etcd-1:2379/", null)]
    [InlineData("etcd3://etcd-1:2380/db/prod/", "http://etcd-1:2380/", "/db/prod")]
    [InlineData("https://etcd-1", "https://etcd-1:2379/", null)]
    [InlineData("[fd00::1]:2379/ns", "http://[fd00::1]:2379/", "/ns")]
    [InlineData("//etcd-1/", "http://etcd-1:2379/", null)]
    public void A_DCS_url_names_etcd_and_perhaps_the_namespace(string text, string endpoint, string? clusterNamespace)
    {
        var url = DcsUrl.Parse(text);

        Assert.Equal((endpoint, clusterNamespace), (url.Endpoint.ToString(), url.Namespace));
    }

    [Theory]
    [InlineData("consul://localhost", "consul")]
    [InlineData("localhost:2181", "zookeeper")]
    [InlineData("localhost:8500", "consul")]
    [InlineData("etcd3://host:99999", "no address")]
    public void A_DCS_url_of_another_store_is_refused(string text, string reason)
    {
        var wrong = Assert.Throws<CtlException>(() => DcsUrl.Parse(text));

        Assert.Contains(reason, wrong.Message, StringComparison.Ordinal);
    }

    private static CtlSettings Load(
        Dictionary<string, string> variables, string? file = null, string? dcsUrl = null, bool insecure = false)
    {
        variables.TryAdd("HOME", "/nonexistent");
        var ctl = new CtlEnvironment(null!, TimeProvider.System, variables);
        return CtlSettings.Load(ctl, file, dcsUrl, insecure);
    }
}
