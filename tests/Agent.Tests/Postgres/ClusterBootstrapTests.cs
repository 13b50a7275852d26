using System.Collections.Concurrent;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Cluster.Text;
using Routing.Ha;

namespace Routing.Agent.Tests.Postgres;

/// <summary>A new cluster on a real PostgreSQL.</summary>
[Trait("Category", "Integration")]
public sealed class ClusterBootstrapTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_cluster_has_its_roles_and_options()
    {
        await using var node = await TestNode.PrimaryAsync("a");

        var seen = await node.ObserveAsync();

        Assert.Equal((ServerState.Running, true, 1u), (seen.Server, seen.IsPrimary, seen.Timeline));
        Assert.True(seen.Control!.DataChecksums);
        Assert.True(seen.RewindPossible);
        Assert.Equal("C", await node.ValueAsync("SELECT datcollate FROM pg_database WHERE datname = 'postgres'"));
        Assert.Equal("True", await node.ValueAsync("SELECT rolreplication FROM pg_roles WHERE rolname = 'repl'"));
        Assert.Equal("True", await node.ValueAsync(
            "SELECT has_function_privilege('rewinder', 'pg_read_binary_file(text)', 'EXECUTE')", "rewinder"));
    }

    [Fact]
    public async Task The_agent_uses_the_database_that_is_configured()
    {
        await using var node = await TestNode.PrimaryAsync("a", extra: "  database: template1");

        await node.ObserveAsync();   // leaves its session open

        Assert.Equal("template1", await node.ValueAsync(
            "SELECT string_agg(DISTINCT datname, ',') FROM pg_stat_activity WHERE application_name LIKE 'Patroni%'"));
    }

    [Fact]
    public async Task A_list_of_statements_may_name_roles_that_exist()
    {
        const string script = """
            post_bootstrap:
            - type: sql
              command: |
                -- the superuser is there already
                CREATE USER boss WITH PASSWORD 'it''s a:b\c "d" $e ''f'' #g%h' SUPERUSER CONNECTION LIMIT 7;
                CREATE USER app WITH PASSWORD 'x;y';
                CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
            - type: sql
              command: CREATE DATABASE shop OWNER app
            """;
        await using var node = new TestNode("a", topLevel: script);

        var made = await node.Server.BootstrapAsync(node.Progress, null, Cancellation);

        Assert.True(made.Ok, made.Detail);
        Assert.Equal("7", await node.ValueAsync("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'boss'"));
        Assert.Equal("1", await node.ValueAsync("SELECT f()", "app", "x;y"));
        Assert.Equal("shop", await node.ValueAsync("SELECT datname FROM pg_database WHERE datname = 'shop'"));
    }

    [Fact]
    public async Task A_script_makes_the_cluster_and_another_one_the_replica()
    {
        await using var node = new TestNode("a", topLevel: "  post_bootstrap: sh DIRECTORY/after", bootstrap: """
              method: mine
              mine:
                command: sh DIRECTORY/make
                flavour: plain vanilla
                recovery_conf: {recovery_target_action: promote, restore_command: sh DIRECTORY/restore %f}
            """);
        // The first segment that is asked for takes a while: so long the replay tells where it is.
        await File.WriteAllTextAsync(node["restore"], $"""
            case $1 in *.history) ;; *) [ -e {node["asked"]} ] || sleep 2.5; touch {node["asked"]} ;; esac
            exit 1
            """, Cancellation);
        await File.WriteAllTextAsync(node["make"], $"""
            echo "$*" > {node["arguments"]}
            exec {TestNode.Binaries}/initdb -D {node.Data} -U boss -A scram-sha-256 --pwfile=/dev/stdin <<END
            another password
            END
            """, Cancellation);
        await File.WriteAllTextAsync(node["after"],
            $"exec {TestNode.Binaries}/psql -X -d \"$1\" -c 'CREATE TABLE made (x int)'", Cancellation);
        await using var copy = new TestNode("b", extra: """
              create_replica_methods: [broken, script, basebackup]
              broken: {command: 'false'}
              script: {command: sh DIRECTORY/copy, level: 3}
            """);
        await File.WriteAllTextAsync(copy["copy"], $"""
            echo "$*" > {copy["arguments"]}
            mkdir -m 700 {copy.Data}
            exec {TestNode.Binaries}/pg_basebackup -D {copy.Data} -c fast -d "$(echo "$*" | sed 's/.*--connstring=\(.*\) --level=3$/\1/')"
            """, Cancellation);

        var (making, copying) = (new ConcurrentQueue<CopyProgress>(), new ConcurrentQueue<CopyProgress>());
        var made = await node.Server.BootstrapAsync(node.Progress, making.Enqueue, Cancellation);
        Assert.True(made.Ok, made.Detail);
        await node.ExecuteAsync("SELECT pg_create_physical_replication_slot('b', true)");
        var cloned = await copy.Server.CloneAsync(
            new ClonePlan(node.Member) { OnCopied = copying.Enqueue }, copy.Progress, Cancellation);
        var started = await copy.StartStandbyOfAsync(node);

        Assert.Equal($"--scope=demo --datadir={node.Data} --flavour=plain vanilla",
            (await File.ReadAllTextAsync(node["arguments"], Cancellation)).Trim());
        Assert.Equal("0", await node.ValueAsync("SELECT count(*) FROM made"));
        Assert.Equal("0", await node.ValueAsync("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'"));
        Assert.True(cloned.Ok, cloned.Detail);
        Assert.Contains("by script", cloned.Detail, StringComparison.Ordinal);
        Assert.Equal(StartOutcome.Running, started);
        await copy.UntilAsync(seen => seen.IsStreaming);
        Assert.Contains(making, told => told.Wal is null);
        Assert.Contains(making, told => told.Wal is { } wal && wal.From > Lsn.Zero && wal.At >= wal.From);
        Assert.NotEmpty(copying);
    }

    [Theory]
    [InlineData("postgres: pay: startup recovering 0000000A00000001000000FF\0", "0000000A00000001000000FF")]
    [InlineData("postgres: startup   recovering 000000010000000000000003", "000000010000000000000003")]
    [InlineData("postgres: pay: startup waiting for 000000010000000000000003", "000000010000000000000003")]
    [InlineData("postgres: pay: startup ", null)]
    [InlineData("postgres: pay: walwriter ", null)]
    [InlineData("postgres: pay: archiver archiving 000000010000000000000003", null)]
    public void The_title_of_the_start_up_process_names_the_segment(string title, string? segment) =>
        Assert.Equal(segment, ReplayMeter.SegmentIn(title));

    [Theory]
    [InlineData("2026-11-30 14:00:00+00", "2026-11-30T14:00:00.000Z")]
    [InlineData("2026-11-30 14:00:00.25+02", "2026-11-30T12:00:00.250Z")]
    [InlineData("2026-11-30T14:00:00 -05:30", "2026-11-30T19:30:00.000Z")]
    [InlineData("2026-11-30 14:00:00+0530", "2026-11-30T08:30:00.000Z")]
    [InlineData("2026-11-30 14:00:00", null)]
    [InlineData("2026-11-30 14:00:00 Europe/Vienna", null)]
    [InlineData("yesterday", null)]
    [InlineData("", null)]
    [InlineData(null, null)]
    public void A_target_time_is_known_where_it_has_an_offset(string? text, string? moment) =>
        Assert.Equal(moment, TargetTime.Read(text) is { } known ? IsoTime.FormatUtc(known) : null);

    /// <summary>A script says how far it is by percentages, as pgBackRest does; its bytes are seen.</summary>
    [Theory]
    [InlineData("P01 DETAIL: restore file /data/base/1/2 (8KB, 12.50%) checksum abc", 12.5)]
    [InlineData("10% done, 20 % now", 20.0)]
    [InlineData("100%", 100.0)]
    [InlineData("0%", null)]
    [InlineData("1234%", null)]
    [InlineData("120%", null)]
    [InlineData("no number", null)]
    public void What_a_script_prints_tells_how_much_is_left(string line, double? percent)
    {
        Assert.Equal(percent, FillingScript.PercentIn(line));
        Assert.Equal(percent is null ? 0 : (long)(500 * 100 / percent.Value),
            FillingScript.WithTotal(new CopyProgress(500, 0, 10), percent ?? 0).Total);
    }
}
