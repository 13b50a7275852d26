using System.Net.Sockets;
using Npgsql;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Programs;
using Routing.Agent.Postgres.Verbs;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>A configuration that PostgreSQL refuses never takes the place of one that it accepts.</summary>
[Trait("Category", "Integration")]
public sealed class ConfigurationAcceptanceTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_value_with_line_breaks_and_quotes_is_taken_as_it_is()
    {
        await using var node = await TestNode.PrimaryAsync("a");

        await ApplyAsync(
            node,
            """{"postgresql": {"parameters": {"archive_command": "test 'x' = \"x\" \\\n && true\r\n", "work_mem": "7MB"}}}""");

        Assert.Equal("test 'x' = \"x\" \\\n && true\r\n",
            await node.ValueAsync("SELECT setting FROM pg_file_settings WHERE name = 'archive_command' AND applied"));
        Assert.Equal("7MB", await node.ValueAsync("SELECT current_setting('work_mem')"));
        await RestartAsync(node);
    }

    [Fact]
    public async Task What_cannot_be_written_is_left_out_and_the_rest_is_taken()
    {
        await using var node = await TestNode.PrimaryAsync("a");

        await ApplyAsync(
            node,
            """{"postgresql": {"parameters": {"a b\nport": "1", "x.y z": "1", "a.b.c": "1", "search_path": "\u0000", "work_mem": "7MB"}}}""");

        Assert.Equal("7MB", await node.ValueAsync("SELECT current_setting('work_mem')"));
        await RestartAsync(node);
    }

    [Fact]
    public async Task A_file_of_the_operators_is_included_and_a_broken_one_leaves_the_last_good_parameters_in_force()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        await ApplyAsync(node, """{"postgresql": {"parameters": {"work_mem": "7MB"}}}""");
        await File.WriteAllTextAsync(node["broken.conf"], "work_mem = = nonsense\n", Cancellation);

        await ApplyAsync(
            node,
            $$$"""{"postgresql": {"custom_conf": "{{{node["broken.conf"]}}}", "parameters": {"work_mem": "9MB"} } }""");

        Assert.Equal("7MB", await node.ValueAsync("SELECT current_setting('work_mem')"));
        await RestartAsync(node);
        Assert.Equal("7MB", await node.ValueAsync("SELECT current_setting('work_mem')"));
        await ApplyAsync(node, """{"postgresql": {"parameters": {"work_mem": "11MB"}}}""");
        Assert.Equal("11MB", await node.ValueAsync("SELECT current_setting('work_mem')"));

        await File.WriteAllTextAsync(node["good.conf"], "maintenance_work_mem = 33MB\n", Cancellation);
        await ApplyAsync(
            node,
            $$$"""{"postgresql": {"custom_conf": "{{{node["good.conf"]}}}", "parameters": {"work_mem": "9MB"} } }""");
        Assert.Equal("9MB 33MB", await node.ValueAsync(
            "SELECT current_setting('work_mem') || ' ' || current_setting('maintenance_work_mem')"));
    }

    [Fact]
    public async Task A_line_of_pg_hba_that_PostgreSQL_cannot_read_is_not_put_in_place()
    {
        const string good = "host all all 127.0.0.0/8 scram-sha-256";
        await using var node = await TestNode.PrimaryAsync("a");
        await ApplyAsync(node, $$$"""{"postgresql": {"pg_hba": ["{{{good}}}"]}}""");

        await ApplyAsync(node, $$$"""{"postgresql": {"pg_hba": ["{{{good}}}", "host all all nonsense"]}}""");

        Assert.Equal("1", await node.ValueAsync("SELECT count(*)::text FROM pg_hba_file_rules"));
        await RestartAsync(node);
        await ApplyAsync(node, $$$"""{"postgresql": {"pg_hba": ["{{{good}}}", "local all all trust"]}}""");
        Assert.Equal("2", await node.ValueAsync("SELECT count(*)::text FROM pg_hba_file_rules"));
    }

    [Fact]
    public async Task A_line_of_pg_hba_that_came_while_PostgreSQL_was_down_does_not_keep_it_down()
    {
        const string good = "host all all 127.0.0.0/8 scram-sha-256";
        await using var node = await TestNode.PrimaryAsync("a");
        await ApplyAsync(node, $$$"""{"postgresql": {"pg_hba": ["{{{good}}}"]}}""");
        await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        await node.Server.ApplyConfigurationAsync(
            TestNode.Config("""{"postgresql": {"pg_hba": ["nonsense all all"]}}"""), force: false, Cancellation);

        Assert.Equal(StartOutcome.Running, await node.StartPrimaryAsync());
        Assert.Equal("1", await node.ValueAsync("SELECT count(*)::text FROM pg_hba_file_rules WHERE error IS NULL"));
    }

    [Fact]
    public async Task A_start_that_fails_says_why_in_the_servers_own_words()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        await node.Server.ApplyConfigurationAsync(
            TestNode.Config("""{"postgresql": {"parameters": {"shared_preload_libraries": "not_there"}}}"""),
            force: false, Cancellation);

        Assert.Equal(StartOutcome.Failed, await node.StartPrimaryAsync());
        Assert.Contains("could not access file \"not_there\"", node.Server.StartProblem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_with_the_servers_own_log()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        await ApplyAsync(
            node, """{"postgresql": {"parameters": {"logging_collector": "on", "log_directory": "own"}}}""");
        await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Directory.Delete(Path.Combine(node.Data, "pg_twophase"), recursive: true);

        Assert.Equal(StartOutcome.Failed, await node.StartPrimaryAsync());
        Assert.Contains("pg_twophase", node.Server.StartProblem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_server_prints_reaches_the_agents_log_line_by_line()
    {
        using var log = new TestKit.LogLines(Microsoft.Extensions.Logging.LogLevel.Information);
        using var directory = new TestKit.TempDirectory();
        var settings = Config.Yaml.Settings($"postgresql: {{data_dir: {directory["data"]}}}");
        await using var output = new ServerOutput(settings, TimeProvider.System, log.CreateLogger("Routing.Server"));
        output.Begin();

        await File.AppendAllTextAsync(output.File, "LOG:  one\nFATAL:  tw", Cancellation);
        await File.AppendAllTextAsync(output.File, "o, near token \"geheim\"\n", Cancellation);

        Assert.Equal("LOG:  one | FATAL:  two", output.LastWords());
        await TestKit.WaitUntil.TrueAsync(
            () => log.Lines.Any(line => line.Contains("PostgreSQL: FATAL:  two", StringComparison.Ordinal)),
            TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_smaller_max_connections_is_taken_by_the_primary_first_and_then_by_the_standby()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var standby = await primary.StandbyAsync("b");
        const string smaller = """{"postgresql": {"parameters": {"max_connections": 50}}}""";
        await ApplyAsync(standby, smaller);
        await ApplyAsync(primary, smaller);

        await standby.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        await standby.StartStandbyOfAsync(primary);
        Assert.Equal("100", await standby.ValueAsync("SELECT current_setting('max_connections')"));
        Assert.Equal("50", (await standby.ObserveAsync()).PendingRestart["max_connections"].NewValue);
        await RestartAsync(primary);
        Assert.Equal("50", await primary.ValueAsync("SELECT current_setting('max_connections')"));
        await standby.UntilAsync(seen => seen.IsStreaming);
        var position = await primary.ValueAsync("SELECT pg_current_wal_lsn()::text");
        await standby.UntilAsync(seen => seen.ReplayedLsn >= Routing.Cluster.Lsn.Parse(position!));
        await standby.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        await standby.StartStandbyOfAsync(primary);

        Assert.Equal("50", await standby.ValueAsync("SELECT current_setting('max_connections')"));
        Assert.Empty((await standby.ObserveAsync()).PendingRestart);
    }

    [Fact]
    public async Task Replay_that_stopped_for_higher_limits_of_the_primary_goes_on()
    {
        Assert.SkipUnless(PostgresUnderTest.Major >= 14, "PostgreSQL 13 ends where later ones pause.");
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var standby = await primary.StandbyAsync("b");
        const string larger = """{"postgresql": {"parameters": {"max_connections": 120}}}""";
        await ApplyAsync(primary, larger);
        await ApplyAsync(standby, larger);
        await RestartAsync(primary);
        await standby.UntilAsync(seen => seen.ReplayPaused);

        var resumed = await standby.Server.ResumeReplayAsync(Cancellation);
        Assert.Contains("max_connections", resumed.Detail, StringComparison.Ordinal);
        await standby.UntilAsync(seen => seen.Server == ServerState.Stopped);
        Assert.Equal(StartOutcome.Running, await standby.StartStandbyOfAsync(primary));
        await standby.UntilAsync(seen => seen is { IsStreaming: true, ReplayPaused: false });

        await standby.ExecuteAsync("SELECT pg_wal_replay_pause()");
        await standby.UntilAsync(seen => seen.ReplayPaused);
        await standby.Server.ResumeReplayAsync(Cancellation);
        Assert.True((await standby.ObserveAsync()).ReplayPaused);   // paused by hand: it stays so
    }

    /// <summary>The server that resumes may end before it answers; silence and refusals are something else.</summary>
    [Theory]
    [InlineData("57P01", true)]
    [InlineData("57P02", true)]
    [InlineData("57P03", true)]
    [InlineData("57014", false)]
    [InlineData("42501", false)]
    [InlineData("55000", false)]
    [InlineData("end", true)]
    [InlineData("reset", true)]
    [InlineData("silence", false)]
    public void The_end_of_a_server_is_told_from_its_refusal_and_from_its_silence(string answer, bool isEnd) =>
        Assert.Equal(isEnd, ReplayResumption.IsEndOfServer(answer switch
        {
            "end" => new NpgsqlException("reading", new EndOfStreamException()),
            "reset" => new NpgsqlException("reading", new IOException("reset", new SocketException())),
            "silence" => new NpgsqlException("reading", new TimeoutException()),
            _ => new PostgresException("it says so", "FATAL", "FATAL", answer),
        }));

    [Fact]
    public async Task The_servers_words_on_a_failed_statement_of_post_bootstrap_are_not_told_to_everybody()
    {
        await using var node =
            new TestNode("a", topLevel: "post_bootstrap: [{type: sql, command: CREATE ROLE x PASSWORD geheim}]");

        var made = await node.Server.BootstrapAsync(node.Progress, null, Cancellation);

        Assert.False(made.Ok);
        Assert.DoesNotContain("geheim", made.Detail, StringComparison.Ordinal);
        Assert.Contains("42601", made.Detail, StringComparison.Ordinal);
    }

    private static async Task ApplyAsync(TestNode node, string config)
    {
        var applied = await node.Server.ApplyConfigurationAsync(TestNode.Config(config), force: false, Cancellation);
        Assert.True(applied.Ok, applied.Detail);
    }

    private static async Task RestartAsync(TestNode node)
    {
        await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Assert.Equal(StartOutcome.Running, await node.StartPrimaryAsync());
    }
}
