using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Cli.Tests;

public sealed class MigrateTests : IDisposable
{
    private readonly TempDirectory _directory = new("migrate");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Nothing_to_say_is_one_line_and_exit_code_0()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync($"migrate --check {File("pg-a", 11)} {File("pg-b", 12)}");

        Assert.Equal((0, "OK: nothing differs for 2 files\n"), (ended.ExitCode, ended.Output));
    }

    [Fact]
    public async Task What_is_ignored_or_otherwise_is_said_and_exit_code_0()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Put(ClusterKeys.Config, """
            {"ttl":10,"loop_wait":2,"retry_timeout":3,"failsafe_mode":true,"pause":true,"standby_cluster":{"host":"far"},"postgresql":{"listen":"x","use_pg_rewind":true,"remove_data_directory_on_rewind_failure":"on"},"note":"ours"}
            """);
        ctl.Dcs.Put(ClusterKeys.Failover, """{"leader":"pg-a","scheduled_at":"2026-08-01T13:00:00+00:00"}""");
        ctl.PutStandby("http://10.1.0.12:8008/patroni", ""","pending_restart":true,"scheduled_restart":{"schedule":"2026-08-01T13:00:00+00:00"}""");
        var first = File("pg-a", 11, """
            log: {level: INFO}
            ttl: 40
            thread_pool_size: 5
            colour: blue
            """, """
              before_stop: /bin/true
              remove_data_directory_on_diverged_timelines: yes
              parameters: {wal_level: logical, synchronous_standby_names: '*'}
            """);
        var second = File("pg-c", 13, password: "another");

        var ended = await ctl.RunAsync($"migrate --check {first} {second}");

        Assert.Equal(
            """
            WARNING: pg-a has what is ignored or read otherwise: DIR/pg-a.yml:18: postgresql.parameters.wal_level: has no effect here: all members have to agree on it, and it belongs into the dynamic configuration
            WARNING: pg-a has what is ignored or read otherwise: DIR/pg-a.yml:7: thread_pool_size: has no effect: there is no pool to size
            WARNING: pg-a has what is ignored or read otherwise: DIR/pg-a.yml:6: ttl: has no effect here: it belongs into the dynamic configuration (bootstrap.dcs for a new cluster)
            WARNING: pg-a has what is ignored or read otherwise: DIR/pg-a.yml:8: colour: this key is not known and has no effect
            WARNING: the files differ in the user for replication or its password: each leader has to admit all others
            WARNING: pay has a scheduled switchover: it happens while nodes change over, unless it is flushed
            WARNING: pay has what is ignored: note is no setting of the agent: it is kept, and nothing reads it.
            WARNING: pay has what is ignored: postgresql.listen belongs into each member's own file; here it has no effect.
            WARNING: pay is paused: nobody takes over from a node that fails meanwhile (routingctl resume ends it)
            WARNING: pg-b is a member, and its file was not given
            WARNING: pg-b has a scheduled restart, which ends with its agent
            WARNING: pg-c has a file and no member key: it does not run, or elsewhere
            NOTE: pg-a has before_stop: it is ended, or left out, where it would outlast the lease
            NOTE: pg-a removes its data when they have diverged: they stay until the copy is whole, where there is room
            NOTE: pg-a sets synchronous_standby_names: a synchronous mode overrules it, also from ALTER SYSTEM
            NOTE: pg-a has a section log: names of loggers and the words of lines differ (see docs/operations.md)
            NOTE: pay has times below Patroni's minimums: ttl 20, loop_wait 2, retry_timeout 3 hold until every member runs routing-agent and has its fence, then ttl 10, loop_wait 2, retry_timeout 3
            NOTE: pay is a standby cluster: Patroni asks no remote server before it promotes the leader, and has no logical slots there; routing-agent does both (docs/standby-cluster.md)
            NOTE: pay removes data that have diverged: they stay until the copy is whole, where there is room
            NOTE: pay has failsafe mode: routing-agent writes a consent to the data directory, so that a restart does not forget it; Patroni forgets it
            NOTE: pg-b waits for a restart, which happens when its agent changes: its settings change then

            """, Shown(ended.Output));
        Assert.Equal(0, ended.ExitCode);
    }

    [Fact]
    public async Task What_is_refused_is_said_first_and_exit_code_1()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Delete(ClusterKeys.Leader);
        ctl.PutMember("pg-b", """
            {"conn_url":"postgres://10.1.0.12:5432/postgres","api_url":"http://10.1.0.12:8008/patroni","state":"stopped","role":"replica","version":"3.0.2"}
            """);
        var first = File("pg-a", 11, "citus: {group: 0, database: x}\n", "  pg_ctl_timeout: soon\n");
        var second = File("pg-b", 12);
        System.IO.File.WriteAllText(second, System.IO.File.ReadAllText(second)
            .Replace("etcd3:", "etcd:", StringComparison.Ordinal)
            .Replace("scope: pay", "scope: bay", StringComparison.Ordinal));

        var ended = await ctl.RunAsync($"migrate --check {first} {second} {_directory["none.yml"]} --format tsv");

        var lines = Shown(ended.Output).TrimEnd('\n').Split('\n')[1..];
        Assert.StartsWith(
            "ERROR\tpg-a\tis refused by the agent: DIR/pg-a.yml:14: postgresql.pg_ctl_timeout: ", lines[0],
            StringComparison.Ordinal);
        Assert.Equal(
            """
            ERROR	pg-a	is part of a Citus cluster, which the agent does not manage
            ERROR	pg-b	has a section etcd: Patroni keeps its keys in version 2 of etcd's API, and the agent looks for them in version 3. Move Patroni to etcd3 first, in a pause
            ERROR	DIR/none.yml	is refused by the agent: DIR/none.yml: there is no such file or directory
            ERROR	the files	name more than one scope: pay, bay
            ERROR	pay	has no leader: bring it to rest before a node changes over
            ERROR	pay	is in quorum mode, which Patroni knows from 4.0 on: pg-b may lead without what was acknowledged
            ERROR	pg-b	has a PostgreSQL that does not run (stopped): mend it first
            """, string.Join('\n', lines[1..]));
        Assert.Equal(1, ended.ExitCode);
    }

    [Fact]
    public async Task Without_the_keys_the_files_alone_are_judged()
    {
        var ended = await new Ctl().RunAsync($"migrate --check --offline {File("pg-a", 11)} {File("pg-b", 11)}");

        Assert.Equal(1, ended.ExitCode);
        Assert.Equal(
            """
            ERROR: DIR/pg-a.yml, DIR/pg-b.yml have postgresql.connect_address 10.1.0.11:5432 in common
            ERROR: DIR/pg-a.yml, DIR/pg-b.yml have restapi.connect_address 10.1.0.11:8008 in common

            """, Shown(ended.Output));
    }

    [Fact]
    public async Task The_check_has_to_be_asked_for()
    {
        var ended = await new Ctl().WithPay().RunAsync($"migrate {File("pg-a", 11)}");

        Assert.Equal(2, ended.ExitCode);
        Assert.Contains("--check", ended.Error, StringComparison.Ordinal);
    }

    private string Shown(string output) => output.Replace(_directory.Path, "DIR", StringComparison.Ordinal);

    private string File(string name, int host, string more = "", string postgresql = "", string password = "secret")
    {
        var path = _directory[$"{name}.yml"];
        System.IO.File.WriteAllText(path, $$"""
            scope: pay
            name: {{name}}
            restapi: {listen: '0.0.0.0:8008', connect_address: '10.1.0.{{host}}:8008'}
            etcd3: {hosts: ['10.1.0.1:2379']}
            {{more}}
            postgresql:
              listen: 0.0.0.0:5432
              connect_address: 10.1.0.{{host}}:5432
              data_dir: /data
              authentication:
                superuser: {username: postgres, password: secret}
                replication: {username: replicator, password: {{password}}}
            {{postgresql}}
            """);
        return path;
    }
}
