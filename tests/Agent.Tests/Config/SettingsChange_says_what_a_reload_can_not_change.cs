using Routing.Agent.Config;

namespace Routing.Agent.Tests.Config;

public class SettingsChange_says_what_a_reload_can_not_change
{
    [Theory]
    [InlineData("scope: other", "scope")]
    [InlineData("name: other", "name")]
    [InlineData("namespace: /other", "namespace")]
    [InlineData("etcd3: {hosts: 'h:1'}", "etcd3.hosts")]
    [InlineData("postgresql: {data_dir: /tmp/x, config_dir: /tmp/y}", "postgresql.data_dir postgresql.config_dir")]
    [InlineData("postgresql: {bin_dir: /x}", "postgresql.bin_dir")]
    [InlineData("postgresql: {pgpass: /x}", "postgresql.pgpass")]
    [InlineData("postgresql: {bin_name: {postgres: my-postgres}}", "postgresql.bin_name")]
    [InlineData("log: {max_queue_size: 7, level: DEBUG}", "log.max_queue_size")]
    [InlineData("watchdog: {mode: required}", "watchdog")]
    [InlineData("watchdog: {safety_margin: 6}", "watchdog")]
    [InlineData("postgresql: {listen: '127.0.0.9:5'}", "")]
    [InlineData("restapi: {listen: '127.0.0.9:5'}", "")]
    [InlineData("tags: {nofailover: true}", "")]
    [InlineData("", "")]
    public void What_stays_is_named(string over, string paths)
    {
        var current = Yaml.Settings();

        var change = SettingsChange.Between(current, Yaml.Settings(over));

        Assert.Equal(paths, string.Join(' ', change.NeedProcessRestart));
        Assert.Equal(
            (current.Scope, current.Name, current.Namespace, current.Postgres.DataDirectory,
                current.Postgres.BinDirectory),
            (change.Effective.Scope, change.Effective.Name, change.Effective.Namespace,
                change.Effective.Postgres.DataDirectory,
                change.Effective.Postgres.BinDirectory));
        Assert.Equal(current.Etcd.Endpoints, change.Effective.Etcd.Endpoints);
        Assert.Equal(
            (current.Watchdog, current.Postgres.Programs, current.Log.MaximumQueueLength),
            (change.Effective.Watchdog, change.Effective.Postgres.Programs, change.Effective.Log.MaximumQueueLength));
    }

    [Fact]
    public void Everything_else_is_taken_over()
    {
        var next = Yaml.Settings("""
            etcd3: {username: u, password: p}
            tags: {nofailover: true}
            restapi: {certfile: /c}
            log: {level: DEBUG}
            postgresql: {parameters: {work_mem: 1MB}, authentication: {replication: {password: new}}}
            """);

        var effective = SettingsChange.Between(Yaml.Settings(), next).Effective;

        Assert.Equal("u", effective.Etcd.Username);
        Assert.Equal(next.Tags, effective.Tags);
        Assert.Equal(next.Rest, effective.Rest);
        Assert.Equal(next.Log, effective.Log);
        Assert.Equal("new", effective.Postgres.Authentication.Replication.Password);
        Assert.Equal("1MB", effective.Postgres.Shared.Parameters!["work_mem"]);
    }
}
