using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using Routing.Agent.Config;
using Routing.Settings;
using Routing.TestKit;

namespace Routing.Agent.Tests.Config;

[SupportedOSPlatform("linux")]
public sealed class ConfigCheck_finds_what_reading_can_not_know : IDisposable
{
    private static readonly string[] s_programs =
        ["pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "pg_isready", "pg_rewind", "postgres"];

    private readonly string _directory = Directory.CreateTempSubdirectory("routing-check-").FullName;
    private readonly TcpListener _etcd = new(IPAddress.Loopback, 0);
    private readonly int _etcdPort;
    private readonly int _restPort = FreePorts.Take();
    private readonly int _postgresPort = FreePorts.Take();

    public ConfigCheck_finds_what_reading_can_not_know()
    {
        _etcd.Start();
        _etcdPort = ((IPEndPoint)_etcd.LocalEndpoint).Port;
        Directory.CreateDirectory(Path.Combine(_directory, "bin"));
        foreach (var program in s_programs)
        {
            var path = Path.Combine(_directory, "bin", program);
            File.WriteAllText(path, "#!/bin/sh\necho 'postgres (PostgreSQL) 15.8'\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private string Data => Path.Combine(_directory, "data");

    public void Dispose()
    {
        _etcd.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Nothing_wrong_is_exit_code_0_and_silence() => Assert.Equal((0, "", ""), await Check());

    [Fact]
    public async Task The_merged_configuration_is_printed_when_asked_for()
    {
        var (code, printed, _) = await Check("tags: {zone: 'on'}", print: true);

        Assert.Equal(0, code);
        var root = YamlText.ReadMapping(printed, "printed").Root;
        Assert.Equal(("n1", "on"), (root["name"]!.GetValue<string>(), root["tags"]!["zone"]!.GetValue<string>()));
    }

    /// <summary>What is printed goes to terminals, logs and bug reports.</summary>
    [Fact]
    public async Task No_secret_is_printed()
    {
        var (code, printed, _) = await Check(
            """
            restapi: {authentication: {username: admin, password: geheim-1}, server_tokens: minimal, https_extra_headers: {X-Key: geheim-2}}
            etcd3: {username: root, password: geheim-3}
            post_bootstrap: [{type: sql, command: "ALTER ROLE a PASSWORD 'geheim-4'"}]
            postgresql:
              authentication: {superuser: {username: postgres, password: geheim-5}}
              parameters: {archive_command: "PGPASSWORD=geheim-6 push %p", primary_conninfo: password=geheim-7, password_encryption: md5}
              recovery_conf: {restore_command: 'curl https://u:geheim-8@host/%f'}
            """,
            print: true);

        Assert.Equal(0, code);
        Assert.DoesNotContain("geheim", printed, StringComparison.Ordinal);
        foreach (var shown in new[] { "username: admin", "server_tokens: minimal", "push %p", "@host/%f",
            "password_encryption: md5", "password: '***'" })
        {
            Assert.Contains(shown, printed, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_wrong_value_is_a_line_of_path_value_error_and_place() => Assert.Equal(
        (1, "",
            "watchdog.mode always must be one of off, automatic, required, disabled, disable, auto, require "
                + $"({_directory}/files/3.yml:1)\nname is not defined. ({_directory}/files/3.yml:2)\n"),
        Sorted(await Check("watchdog: {mode: always}\nname: null")));

    [Fact]
    public async Task A_busy_port_is_a_failure_unless_it_is_to_be_ignored()
    {
        using var busy = new TcpListener(IPAddress.Parse("127.0.0.2"), _restPort);
        busy.Start();

        Assert.Equal(
            (1, "",
                $"restapi.listen 127.0.0.2:{_restPort} the port is already in use ({_directory}/files/2.yml:1)\n"),
            await Check());
        Assert.Equal((0, "", ""), await Check(ignoreBusyPorts: true));
    }

    [Fact]
    public async Task A_DCS_that_does_not_answer_is_a_failure()
    {
        _etcd.Stop();

        var (code, _, errors) = await Check();

        Assert.Equal(1, code);
        Assert.StartsWith($"etcd3.hosts 127.0.0.1:{_etcdPort} can't be reached: ", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        "restapi: {connect_address: 'localhost:8008'}", "restapi.connect_address localhost:8008 must be an address")]
    [InlineData("postgresql: {connect_address: '127.0.0.1:5432'}",
        "postgresql.connect_address 127.0.0.1:5432 must be an address")]
    [InlineData(
        "postgresql: {proxy_address: '0.0.0.0:5432'}", "postgresql.proxy_address 0.0.0.0:5432 must be an address")]
    [InlineData("bootstrap: {dcs: {ttl: 2}}", "bootstrap.dcs.ttl 2 must be at least 3 seconds")]
    [InlineData("bootstrap: {dcs: {postgresql: {parameters: {max_connections: 3}}}}",
        "bootstrap.dcs postgresql.parameters.max_connections: '3'")]
    public async Task What_other_members_can_not_use_is_a_failure(string over, string start)
    {
        var (code, _, errors) = await Check(over);

        Assert.Equal(1, code);
        Assert.StartsWith(start, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_program_is_a_failure()
    {
        File.Delete(Path.Combine(_directory, "bin", "pg_rewind"));

        Assert.Equal(
            (1, "",
                $"postgresql.bin_dir {_directory}/bin does not contain the program pg_rewind "
                    + $"({_directory}/files/2.yml:3)\n"),
            await Check());
    }

    [Theory]
    [InlineData("15", "")]
    [InlineData("14", "was made by PostgreSQL 14, the program is of version 15")]
    [InlineData(null, "is not empty, but no PostgreSQL data directory: PG_VERSION is missing")]
    public async Task A_data_directory_must_fit_the_programs(string? version, string complaint)
    {
        Directory.CreateDirectory(Path.Combine(Data, "global"));
        await File.WriteAllTextAsync(Path.Combine(Data, "global", "pg_control"), "x",
            TestContext.Current.CancellationToken);
        if (version is not null)
        {
            await File.WriteAllTextAsync(
                Path.Combine(Data, "PG_VERSION"), version + "\n", TestContext.Current.CancellationToken);
        }

        Assert.Equal(
            complaint.Length == 0 ? (0, "", "") : (1, "",
                $"postgresql.data_dir {Data} {complaint} ({_directory}/files/2.yml:3)\n"),
            await Check());
    }

    [Theory]
    [InlineData("0.0.0.0:PORT")]
    [InlineData("[::]:PORT")]
    [InlineData(":::PORT")]
    [InlineData("'*:PORT'")]
    [InlineData("localhost:PORT")]
    [InlineData("'127.0.0.1, ::1:PORT'")]
    [InlineData("'::1,127.0.0.3:PORT'")]
    [InlineData("'[::1],127.0.0.1:PORT'")]
    public async Task Every_form_of_an_address_can_be_listened_on(string listen)
    {
        var postgres = listen.Replace("PORT", $"{_postgresPort}", StringComparison.Ordinal);
        var rest = listen.Contains(',', StringComparison.Ordinal)
            ? $"127.0.0.2:{_restPort}"
            : listen.Replace("PORT", $"{_restPort}", StringComparison.Ordinal);

        var (code, _, errors) = await Check(
            $"{{postgresql: {{listen: \"{postgres.Trim('\'')}\"}}, restapi: {{listen: \"{rest.Trim('\'')}\"}}}}");

        // Only this machine's lack of IPv6 may be told of.
        Assert.True(
            code == 0
                || (!Socket.OSSupportsIPv6 && errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                    .All(line => line.Contains("can't be listened on", StringComparison.Ordinal))),
            errors);
    }

    [Fact]
    public async Task The_check_goes_on_after_a_wrong_value()
    {
        var (code, _, errors) = await Check(
            "postgresql: {listen: nonsense:x, bin_dir: /nowhere}\nrestapi: {listen: '192.0.2.1:1'}\nbootstrap: {dcs: "
                + "{ttl: much}}\n"
            + "etcd3: {cacert: /nowhere/ca.pem}");

        Assert.Equal(1, code);
        foreach (var start in (string[])["postgresql.listen nonsense:x must be",
            "postgresql.bin_dir /nowhere does not contain", "restapi.listen 192.0.2.1:1 can't",
            "bootstrap.dcs ttl is",
            "etcd3 can't be used: Cannot use the certificate file /nowhere/ca.pem"])
        {
            Assert.Contains(start, errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_file_that_is_no_YAML_is_named_with_its_line()
    {
        var (code, _, errors) = await Check("a: b\nlisten: *\n");

        Assert.Equal(1, code);
        Assert.StartsWith($"{_directory}/files/3.yml:2: is no valid YAML: ", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_variable_is_named() => Assert.Equal(
        "PATRONI_RESTAPI_LISTNE: this environment variable is not known and has no effect",
        Assert.Single(Yaml.Load("", ("PATRONI_RESTAPI_LISTNE", "secret")).Warnings).ToReportLine());

    [Fact]
    public void The_sample_configuration_takes_the_environment_in_and_is_readable()
    {
        var environment = SettingsEnvironment.From("PATRONI_", [KeyValuePair.Create("PATRONI_SCOPE", "orders")]);

        var root = YamlText.ReadMapping(SampleConfig.Write("host1", "10.0.0.1", environment), "sample").Root;

        Assert.Equal(
            ("orders", "host1", "10.0.0.1:8008", "#FIXME"),
            (root["scope"]!.GetValue<string>(), root["name"]!.GetValue<string>(),
                root["restapi"]!["listen"]!.GetValue<string>(),
                root["postgresql"]!["data_dir"]!.GetValue<string>()));
    }

    private static (int Code, string Output, string Errors) Sorted((int Code, string Output, string Errors) result) => (
        result.Code, result.Output, string.Concat(result.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .OrderDescending(StringComparer.Ordinal).Select(line => line + "\n")));

    private async Task<(int Code, string Output, string Errors)> Check(
        string over = "", bool ignoreBusyPorts = false, bool print = false)
    {
        var files = Directory.CreateDirectory(Path.Combine(_directory, "files"));
        await File.WriteAllTextAsync(Path.Combine(files.FullName, "1.yml"), Yaml.Smallest,
            TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(
            Path.Combine(files.FullName, "2.yml"),
            $$"""
            restapi: {listen: "127.0.0.2:{{_restPort}}"}
            etcd3: {hosts: "127.0.0.1:{{_etcdPort}}"}
            postgresql: {listen: "127.0.0.2:{{_postgresPort}}", data_dir: {{Data}}, bin_dir: {{_directory}}/bin}
            """,
            TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(files.FullName, "3.yml"), over,
            TestContext.Current.CancellationToken);
        using var output = new StringWriter { NewLine = "\n" };
        using var errors = new StringWriter { NewLine = "\n" };
        var code = await new ConfigCheck(TimeProvider.System, output, errors).ValidateAsync(
            files.FullName, SettingsEnvironment.Empty("PATRONI_"), ignoreBusyPorts, print,
            TestContext.Current.CancellationToken);
        return (code, output.ToString(), errors.ToString());
    }
}
