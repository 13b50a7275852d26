using System.Text.RegularExpressions;
using Routing.Agent.Config;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>
/// What is asked of each major version, also of those that no machine here has (14 and 16): every difference that the
/// agent knows is decided in <see cref="ServerFeatures"/>, and these are all of them.
/// </summary>
public sealed partial class ServerVersionTests
{
    /// <summary>The versions that the agent takes, the last before them and the next one.</summary>
    public static TheoryData<int> Versions => [12, 13, 14, 15, 16, 17, 18, 19];

    [Theory]
    [InlineData(12, "promote_trigger_file gssencmode")]
    [InlineData(13, "supported promote_trigger_file gssencmode channel_binding sslpassword")]
    [InlineData(14, "supported in_hot_standby promote_trigger_file gssencmode channel_binding sslpassword sslcrldir")]
    [InlineData(15, "supported in_hot_standby pg_ident_file_mappings --config-file promote_trigger_file gssencmode "
        + "channel_binding sslpassword sslcrldir")]
    [InlineData(16, "supported in_hot_standby pg_ident_file_mappings --config-file gssencmode channel_binding "
        + "sslpassword sslcrldir")]
    [InlineData(17, "supported in_hot_standby pg_ident_file_mappings --config-file slot_sync gssencmode "
        + "channel_binding sslpassword sslcrldir sslnegotiation")]
    [InlineData(18, "supported in_hot_standby pg_ident_file_mappings --config-file slot_sync gssencmode "
        + "channel_binding sslpassword sslcrldir sslnegotiation")]
    [InlineData(19, "in_hot_standby pg_ident_file_mappings --config-file slot_sync WAIT_FOR_LSN gssencmode "
        + "channel_binding sslpassword sslcrldir sslnegotiation")]
    public void Each_version_has_what_its_manual_names(int major, string features)
    {
        var known = new (string Name, bool Has)[]
        {
            ("supported", ServerFeatures.IsSupported(major)),
            ("in_hot_standby", ServerFeatures.HasInHotStandby(major)),
            ("pg_ident_file_mappings", ServerFeatures.HasIdentView(major)),
            ("--config-file", ServerFeatures.RewindTakesConfigFile(major)),
            ("slot_sync", ServerFeatures.HasSlotSync(major)),
            ("WAIT_FOR_LSN", ServerFeatures.HasWaitForLsn(major)),
            ("promote_trigger_file", ServerFeatures.HasPromoteTriggerFile(major)),
        }.Where(feature => feature.Has).Select(feature => feature.Name);
        string[] keywords = ["gssencmode", "channel_binding", "sslpassword", "sslcrldir", "sslnegotiation"];

        Assert.Equal(
            features.Split(' '), known.Concat(keywords.Where(word => ServerFeatures.HasKeyword(major, word))));
    }

    /// <summary>A standby's settings are those of 13 to 18, less the file that 16 has no more.</summary>
    [Theory]
    [MemberData(nameof(Versions))]
    public void A_standby_gets_the_recovery_settings_that_its_server_knows(int major)
    {
        var settings = Config.Yaml.Settings(
            "postgresql: {recovery_conf: {trigger_file: /t, recovery_min_apply_delay: 5min, standby_mode: on}}");
        var config = EffectivePostgresConfig.Combine(settings, DynamicConfig.Default, Role.Replica, major);

        var written = RecoverySettings.ForStandby(settings, config, new Upstream(new HostPort("h", 1), "n1"), major);

        string[] everywhere =
        [
            "primary_conninfo", "primary_slot_name", "recovery_min_apply_delay", "recovery_target",
            "recovery_target_lsn", "recovery_target_name", "recovery_target_time", "recovery_target_timeline",
            "recovery_target_xid", "wal_retrieve_retry_interval",
        ];
        string[] expected = major < 16 ? [.. everywhere, "promote_trigger_file"] : everywhere;
        Assert.Equal(expected.Order(), written.Keys.Order());
        Assert.Equal(major >= 17, written["primary_conninfo"].Contains("sslnegotiation", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public void The_monitoring_query_asks_for_the_columns_that_its_server_has(int major)
    {
        var query = ServerReport.Query(major);

        Assert.Equal(major >= 17, query.Contains("failover, synced", StringComparison.Ordinal));
        // The rest is one text for all: names that 13 to 18 have.
        Assert.Equal(
            ServerReport.Query(13),
            major >= 17 ? query.Replace(", failover, synced", "", StringComparison.Ordinal) : query);
    }

    [Fact]
    public void No_other_source_compares_versions()
    {
        var found = Repository.Sources()
            .Where(source => Path.GetFileName(source.Key) != "ServerFeatures.cs")
            .SelectMany(source => Comparison().Matches(source.Value).Select(match => $"{source.Key}: {match.Value}"))
            .Where(match => !s_others.Any(other => match.EndsWith(other, StringComparison.Ordinal)));

        Assert.Empty(found);
    }

    /// <summary>Comparisons with a version of Patroni.</summary>
    private static readonly string[] s_others = ["version.Major < 4"];

    [GeneratedRegex(@"[\w.]*(?:[Mm]ajor|ServerVersion|serverVersion)\w*\)?\s*(?:is\s+)?(?:>=|<=|<|>|==)\s*[0-9]+")]
    private static partial Regex Comparison();
}
