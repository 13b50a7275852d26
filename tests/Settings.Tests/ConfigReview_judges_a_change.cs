using System.Text.Json;
using Routing.Cluster;
using Routing.Settings.Review;
using Xunit;

namespace Routing.Settings.Tests;

public sealed class ConfigReview_judges_a_change
{
    private static readonly Dictionary<string, ParameterDefinition> s_catalogue = new ParameterDefinition[]
    {
        new("max_connections", "integer", null, 1, 262143, [], "postmaster"),
        new("work_mem", "integer", "kB", 64, 2147483647, [], "user"),
        new("shared_buffers", "integer", "8kB", 16, 1073741823, [], "postmaster"),
        new("statement_timeout", "integer", "ms", 0, 2147483647, [], "user"),
        new("random_page_cost", "real", null, 0, double.MaxValue, [], "user"),
        new("fsync", "bool", null, null, null, [], "sighup"),
        new("wal_level", "enum", null, null, null, ["minimal", "replica", "logical"], "postmaster"),
        new("synchronous_commit", "enum", null, null, null, ["local", "remote_write", "remote_apply", "on", "off"],
            "user"),
        new("log_min_messages", "enum", null, null, null, ["debug5", "debug2", "info"], "superuser"),
        new("log_line_prefix", "string", null, null, null, [], "sighup"),
    }.ToDictionary(one => one.Name, StringComparer.OrdinalIgnoreCase);

    [Theory]
    [InlineData("""{"ttl":"long"}""", "ttl is \"long\", but must be a whole number of seconds; 30 holds.")]
    [InlineData("""{"ttl":20,"loop_wait":5,"retry_timeout":8}""",
        "ttl 20, loop_wait 5, retry_timeout 8 do not fit together: loop_wait + 2 × retry_timeout must not exceed "
            + "ttl.")]
    [InlineData("""{"ttl":0,"loop_wait":1,"retry_timeout":1}""", "ttl is 0, but must be at least 3 seconds.")]
    [InlineData("""{"postgresql":{"pg_hba":"all"}}""",
        "postgresql.pg_hba: 'all': must be a list of texts")]
    [InlineData("""{"maximum_lag_on_failover":"1MegaByte"}""",
        "maximum_lag_on_failover is \"1MegaByte\", but must be a number of bytes, 0 or more, such as 1048576 or "
            + "\"1MB\"; 1048576 holds.")]
    [InlineData(
        """{"mamimum_lag_on_failover":1}""", "mamimum_lag_on_failover is no setting; maximum_lag_on_failover is.")]
    [InlineData("""{"synchronous_mode":"quorom"}""",
        "synchronous_mode is \"quorom\", but must be on, off or quorum; off holds.")]
    [InlineData("""{"postgresql":{"parameters":{"max_conections":100}}}""",
        "postgresql.parameters.max_conections is no parameter of this server; max_connections is.")]
    [InlineData("""{"postgresql":{"parameters":{"max_connections":0}}}""",
        "postgresql.parameters.max_connections: '0': must be a whole number from 25 to 262143")]
    [InlineData("""{"postgresql":{"parameters":{"work_mem":"64M"}}}""",
        "postgresql.parameters.work_mem is \"64M\", but has the unit M; possible are B, kB, MB, GB, TB.")]
    [InlineData("""{"postgresql":{"parameters":{"max_connections":"100MB"}}}""",
        "postgresql.parameters.max_connections: '100MB': must be a whole number from 25 to 262143")]
    [InlineData("""{"postgresql":{"parameters":{"random_page_cost":"2MB"}}}""",
        "postgresql.parameters.random_page_cost is \"2MB\", but has the unit MB; possible is none.")]
    [InlineData("""{"postgresql":{"parameters":{"work_mem":"1B"}}}""",
        "postgresql.parameters.work_mem is \"1B\", but must be from 64 to 2147483647 (in units of kB).")]
    [InlineData("""{"postgresql":{"parameters":{"shared_buffers":"8TB"}}}""",
        "postgresql.parameters.shared_buffers is \"8TB\", but must be from 16 to 1073741823 (in units of 8kB).")]
    [InlineData("""{"postgresql":{"parameters":{"fsync":"maybe"}}}""",
        "postgresql.parameters.fsync is \"maybe\", but must be on or off.")]
    [InlineData("""{"postgresql":{"parameters":{"wal_level":"hot"}}}""",
        "postgresql.parameters.wal_level: 'hot': must be replica, hot_standby or logical")]
    [InlineData("""{"postgresql":{"parameters":{"log_min_messages":"loud"}}}""",
        "postgresql.parameters.log_min_messages is \"loud\", but must be one of debug5, debug2, info.")]
    [InlineData("""{"postgresql":{"parameters":{"random_page_cost":[1]}}}""",
        "postgresql.parameters.random_page_cost: '(a list)': must be a text, a number or a boolean")]
    [InlineData("""{"standby_cluster":{"host":"h","port":"5432,5433"}}""",
        "standby_cluster.port is \"5432,5433\", but must be a TCP port, 1 to 65535, or one for each host; 5432 holds.")]
    public void What_is_wrong_is_said_exactly(string config, string problem)
    {
        var review = Review("{}", config);

        Assert.Equal([problem], review.Problems);
    }

    [Theory]
    [InlineData("""{"ttl":20,"loop_wait":5,"retry_timeout":7}""")]
    [InlineData("""{"maximum_lag_on_failover":"16MB","primary_start_timeout":"5min","failsafe_mode":"on"}""")]
    [InlineData(
        """{"postgresql":{"parameters":{"max_connections":"160","work_mem":"1.5MB","shared_buffers":"128 MB"}}}""")]
    [InlineData(
        """{"postgresql":{"parameters":{"statement_timeout":"5min","fsync":"of","synchronous_commit":true,"random_page_cost":1.1}}}""")]
    [InlineData(
        """{"postgresql":{"parameters":{"WORK_MEM":65536,"pg_stat_statements.max":10,"log_line_prefix":"%m "}}}""")]
    [InlineData("""{"postgresql":{"parameters":{"max_connections":"100","statement_timeout":"90s","work_mem":"0x64"}}}""")]
    [InlineData("""{"postgresql":{"parameters":{"wal_keep_segments":8,"trigger_file":"/x","wal_level":"hot_standby"}}}""")]
    [InlineData("""{"postgresql":{"parameters":{"sort_mem":"1MB","log_min_messages":"DEBUG"}}}""")]
    [InlineData("""{"postgresql":{"callbacks":{"on_start":"/x"},"wal_g":{"command":"x"},"use_pg_rewind":"yes"}}""")]
    public void What_is_right_passes(string config)
    {
        var review = Review("{}", config);

        Assert.Empty(review.Problems);
        Assert.Empty(review.Remarks);
    }

    [Fact]
    public void What_was_wrong_before_does_not_hinder_a_change_of_something_else()
    {
        var review = Review("""{"ttl":"long","mamimum_lag_on_failover":1}""",
            """{"ttl":"long","mamimum_lag_on_failover":1,"pause":true}""");

        Assert.Empty(review.Problems);
    }

    [Theory]
    [InlineData("""{"ttl":6,"loop_wait":1,"retry_timeout":2}""", "A ttl below 20 s")]
    [InlineData("""{"my_tool":1}""", "my_tool is no setting of the agent: it is kept")]
    [InlineData("""{"ttl":20,"loop_wait":5}""",
        "ttl 20, loop_wait 5, retry_timeout 10 do not fit together: loop_wait + 2 × retry_timeout must not exceed ttl; "
            + "they are taken as ttl 20, loop_wait 1, retry_timeout 9.")]
    [InlineData("""{"postgresql":{"note":"x"}}""", "postgresql.note is no setting of the agent: it is kept")]
    [InlineData("""{"postgresql":{"use_pg_rewnd":true}}""", "postgresql.use_pg_rewnd is no setting; use_pg_rewind is.")]
    [InlineData("""{"postgresql":{"listen":"*"}}""", "postgresql.listen belongs into each member's own file")]
    [InlineData("""{"postgresql":{"parameters":{"hot_standby":"on"}}}""",
        "postgresql.parameters.hot_standby is set by the agent")]
    public void What_may_be_meant_so_is_remarked(string config, string remark)
    {
        var review = ConfigReview.Of(Json("{}"), Json(config));

        Assert.Empty(review.Problems);
        Assert.StartsWith(remark, Assert.Single(review.Remarks), StringComparison.Ordinal);
    }

    [Fact]
    public void Parameters_that_need_a_restart_are_named_by_the_servers_catalogue_or_without_it()
    {
        const string before =
            """{"postgresql":{"parameters":{"wal_level":"logical","max_wal_senders":5,"work_mem":"1MB"}}}""";
        const string after =
            """{"postgresql":{"parameters":{"max_wal_senders":5,"max_connections":200,"work_mem":"2MB"}}}""";

        Assert.Equal(["max_connections", "wal_level"], Review(before, after).RestartParameters);
        Assert.Equal(["max_connections", "wal_level"], ConfigReview.Of(Json(before), Json(after)).RestartParameters);
    }

    private static ConfigReview Review(string before, string after) =>
        ConfigReview.Of(Json(before), Json(after), s_catalogue);

    private static JsonElement Json(string text) => JsonElement.Parse(text);
}
