using System.Globalization;
using System.Text.RegularExpressions;
using Routing.Agent.Backups;
using Routing.Agent.Status;
using Routing.Cluster;

namespace Routing.Agent.Tests.Rest;

/// <summary>What Prometheus reads.</summary>
public sealed partial class MetricsTests
{
    private static readonly string[] s_expected =
    [
        "patroni_version gauge 040104", "patroni_postgres_running gauge 1",
        "patroni_postmaster_start_time gauge 1784527201.221",
        "patroni_primary gauge 1", "patroni_xlog_location counter 117441000", "patroni_standby_leader gauge 0",
        "patroni_replica gauge 0", "patroni_sync_standby gauge 0", "patroni_quorum_standby gauge 0",
        "patroni_xlog_received_location counter 0", "patroni_xlog_replayed_location counter 0",
        "patroni_xlog_replayed_timestamp gauge 0", "patroni_xlog_paused gauge 0", "patroni_postgres_streaming gauge 0",
        "patroni_postgres_in_archive_recovery gauge 0", "patroni_postgres_server_version gauge 170005",
        "patroni_cluster_unlocked gauge 0", "patroni_failsafe_mode_is_active gauge 0",
        "patroni_failsafe_mode_enabled gauge 0",
        "patroni_failsafe_member gauge 0", "patroni_postgres_timeline gauge 4",
        "patroni_dcs_last_seen gauge 1784534400",
        "patroni_pending_restart gauge 0", "patroni_is_paused gauge 0", "patroni_postgres_state gauge 5",
        "patroni_failover_priority gauge 1",
    ];

    [Fact]
    public async Task A_primary_exports_every_metric_in_order_with_type_labels_and_value()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var (code, text) = await host.SendAsync("GET", "/metrics");

        Assert.Equal(200, code);
        Assert.Equal(s_expected, Samples(text));
        Assert.All(s_expected, line => Assert.Matches($@"(?m)^# HELP {line.Split(' ')[0]} \S", text));
        Assert.Matches(@"(?m)^# .*0=initdb, 1=initdb_failed, .* 14=crashed$", text);
    }

    [Fact]
    public async Task A_standby_without_an_answering_server_has_no_replication_state_and_state_minus_one()
    {
        await using var host = await RestHost.StartAsync(Nodes.Replica with
        {
            Tags = Nodes.Tags(("nofailover", "true")),
            Postgres = Nodes.Replica.Postgres with { Server = Ha.ServerState.Unresponsive },
        });

        var (_, text) = await host.SendAsync("GET", "/metrics");

        Assert.DoesNotContain("patroni_postgres_streaming", text, StringComparison.Ordinal);
        Assert.Contains("patroni_postgres_state gauge -1", Samples(text));
        Assert.Contains("patroni_failover_priority gauge 0", Samples(text));
    }

    [Fact]
    public async Task A_standby_exports_its_positions()
    {
        await using var host = await RestHost.StartAsync(Nodes.QuorumStandby with
        {
            Postgres = Nodes.Replica.Postgres
                with { ReplayedTimestamp = DateTimeOffset.FromUnixTimeMilliseconds(1784534400500) },
        });

        var samples = Samples((await host.SendAsync("GET", "/metrics")).Text);

        Assert.Contains("patroni_replica gauge 1", samples);
        Assert.Contains("patroni_quorum_standby gauge 1", samples);
        Assert.Contains("patroni_xlog_received_location counter 117441000", samples);
        Assert.Contains("patroni_xlog_replayed_location counter 117440000", samples);
        Assert.Contains("patroni_xlog_replayed_timestamp gauge 1784534400.5", samples);
        Assert.Contains("patroni_postgres_streaming gauge 1", samples);
    }

    [Fact]
    public async Task The_agents_own_instruments_follow()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary with
        {
            Fence = FenceState.Armed,
            LastFailover = [new FailoverPhase("promoted", TimeSpan.FromMilliseconds(250))],
        });
        host.Metrics.LoopRan(TimeSpan.FromMilliseconds(3), "leads");
        host.Metrics.DcsReconnected();

        var (_, text) = await host.SendAsync("GET", "/metrics");

        Assert.Contains("routing_term{scope=\"pay\",name=\"pg-a\"} 42\n", text, StringComparison.Ordinal);
        Assert.Contains("routing_fence_state{scope=\"pay\",name=\"pg-a\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("routing_decisions_total{scope=\"pay\",name=\"pg-a\",code=\"leads\"} 1\n", text,
            StringComparison.Ordinal);
        Assert.Contains("routing_dcs_reconnects_total{scope=\"pay\",name=\"pg-a\"} 1\n", text,
            StringComparison.Ordinal);
        Assert.Contains("routing_last_failover_phase_seconds{scope=\"pay\",name=\"pg-a\",phase=\"promoted\"} 0.25\n",
            text, StringComparison.Ordinal);
        Assert.Contains("routing_loop_duration_seconds_count{scope=\"pay\",name=\"pg-a\"} 1\n", text,
            StringComparison.Ordinal);
        Assert.Matches(@"(?m)^routing_lease_left_seconds\{scope=""pay"",name=""pg-a""\} 2\d\d", text);
    }

    [Fact]
    public async Task The_repository_and_the_archiver_are_told_in_numbers()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        var now = host.Time.GetUtcNow();
        Assert.DoesNotContain("routing_backup_repository_usable{", await TextAsync(), StringComparison.Ordinal);

        host.Repository = new BackupReport
        {
            Stanza = "pay", MaximumAge = TimeSpan.FromHours(26), Wal = ("1", "000000010000000000000006"),
            Backups =
            [
                Ended("full", now.AddHours(-40)), Ended("full", now.AddHours(-30)), Ended("incr", now.AddHours(-1)),
            ],
            Archiver = new ArchiverReport(true, true, "000000010000000000000006", null, false, 0, 1 << 24),
        };
        var well = await TextAsync();

        Assert.Contains(Own("routing_backup_repository_usable", "", 1), well, StringComparison.Ordinal);
        Assert.InRange(Age("full"), 30 * 3600, 31 * 3600);
        Assert.InRange(Age("incr"), 3600, 2 * 3600);
        Assert.Contains(
            Own("routing_backup_last_end_timestamp_seconds", ",type=\"incr\"", now.AddHours(-1).ToUnixTimeSeconds()),
            well, StringComparison.Ordinal);
        Assert.Contains(Own("routing_backup_maximum_age_seconds", "", 26 * 3600), well, StringComparison.Ordinal);
        Assert.Contains(Own("routing_backup_wal_missing", "", 0), well, StringComparison.Ordinal);
        Assert.Contains(Own("routing_archiver_failing", "", 0), well, StringComparison.Ordinal);

        host.Repository = host.Repository with
        {
            Backups = [], WalGap = "000000010000000000000005",
            Archiver = host.Repository.Archiver! with { FailsNow = true },
        };
        var unwell = await TextAsync();
        Assert.DoesNotContain("routing_backup_last_age_seconds{", unwell, StringComparison.Ordinal);
        Assert.Contains(Own("routing_backup_wal_missing", "", 1), unwell, StringComparison.Ordinal);
        Assert.Contains(Own("routing_archiver_failing", "", 1), unwell, StringComparison.Ordinal);

        host.Repository = host.Repository with { Problem = "gone", Archiver = null };
        var lost = await TextAsync();
        Assert.Contains(Own("routing_backup_repository_usable", "", 0), lost, StringComparison.Ordinal);
        Assert.DoesNotContain("routing_backup_wal_missing{", lost, StringComparison.Ordinal);
        Assert.DoesNotContain("routing_archiver_failing{", lost, StringComparison.Ordinal);

        double Age(string type) => double.Parse(
            well.Split('\n').Single(line => line.StartsWith(
                Own("routing_backup_last_age_seconds", $",type=\"{type}\"", 0)[..^2], StringComparison.Ordinal))
                .Split(' ')[1], CultureInfo.InvariantCulture);
        async Task<string> TextAsync() => (await host.SendAsync("GET", "/metrics")).Text;
    }

    [Fact]
    public async Task How_far_a_restore_is_is_told()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        Assert.Contains(Own("routing_restore_phase", ",phase=\"restoring\"", 0),
            (await host.SendAsync("GET", "/metrics")).Text, StringComparison.Ordinal);

        host.Status = host.Status with
        {
            Cluster = host.Status.Cluster! with
            {
                Restore = new RestoreRequest("1", "pg-a", new RestoreTarget("immediate", ""), RestorePhase.Restoring),
            },
        };

        var text = (await host.SendAsync("GET", "/metrics")).Text;
        Assert.Contains(Own("routing_restore_phase", ",phase=\"restoring\"", 1), text, StringComparison.Ordinal);
        Assert.Contains(Own("routing_restore_phase", ",phase=\"requested\"", 0), text, StringComparison.Ordinal);
    }

    private static Backup Ended(string type, DateTimeOffset at) =>
        new("label", type, at.AddMinutes(-1), at, null, null, 1, false);

    private static string Own(string name, string labels, long value) =>
        $"{name}{{scope=\"pay\",name=\"pg-a\"{labels}}} {value}\n";

    /// <summary>"name type value" of each of Patroni's metrics.</summary>
    private static List<string> Samples(string text)
    {
        var types = Type().Matches(text).ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value);
        return [.. Sample().Matches(text)
            .Select(match => $"{match.Groups[1].Value} {types[match.Groups[1].Value]} {match.Groups[2].Value}")];
    }

    [GeneratedRegex(@"^# TYPE (patroni_\w+) (\w+)$", RegexOptions.Multiline)]
    private static partial Regex Type();

    [GeneratedRegex(@"^(patroni_\w+)\{scope=""pay"",name=""pg-[ab]""\} (\S+)$", RegexOptions.Multiline)]
    private static partial Regex Sample();
}
