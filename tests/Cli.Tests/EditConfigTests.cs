using Routing.Cli.Editing;
using Routing.TestKit;

namespace Routing.Cli.Tests;

public sealed class EditConfigTests
{
    private const string Present = """{"ttl":30,"loop_wait":10,"synchronous_mode":"quorum"}""";

    [Fact]
    public async Task Values_are_set_shown_confirmed_and_written_in_the_order_in_which_they_stood()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("edit-config pay -s loop_wait=5 --set postgresql.use_slots=off", "y");

        Assert.Equal(
            new(
                0,
                """
                --- 
                +++ 
                @@ -1,3 +1,5 @@
                -loop_wait: 10
                +loop_wait: 5
                +postgresql:
                +  use_slots: false
                 synchronous_mode: quorum
                 ttl: 30
                Apply these changes? [y/N]: Configuration changed

                """,
                ""),
            ended);
        Assert.Equal("""{"ttl":30,"loop_wait":5,"synchronous_mode":"quorum","postgresql":{"use_slots":false}}""",
            Config(ctl));
    }

    [Fact]
    public async Task A_null_removes_and_so_do_parents_that_become_empty()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Put("config", """{"ttl":30,"postgresql":{"parameters":{"a.b":1}}}""");

        var ended = await ctl.RunAsync("edit-config pay --quiet --force --pg a.b=null --set nothing.here=null");

        Assert.Equal((0, "Configuration changed\n"), (ended.ExitCode, ended.Output));
        Assert.Equal("""{"ttl":30}""", Config(ctl));
    }

    [Fact]
    public async Task A_change_that_is_none_is_not_written()
    {
        var ctl = new Ctl().WithPay();
        var revision = ctl.Dcs.Keys["config"].ModRevision;

        var ended = await ctl.RunAsync("edit-config pay --set ttl=30 --force");

        Assert.Equal(new(0, "Not changed\n", ""), ended);
        Assert.Equal(revision, ctl.Dcs.Keys["config"].ModRevision);
    }

    [Fact]
    public async Task A_parameter_that_needs_a_restart_is_named_with_the_members()
    {
        var ctl = new Ctl().WithPay("http://10.1.0.11:8008/patroni");
        ctl.PutMember("pg-a", """{"role":"primary","state":"running"}""");

        var ended = await ctl.RunAsync("edit-config pay -q --force -p max_connections=200 -p work_mem=64MB");

        Assert.Equal(0, ended.ExitCode);
        Assert.Contains(
            "Hint: max_connections will need a restart of pg-a, pg-b: routingctl restart pay --pending.\n", ended.Error,
            StringComparison.Ordinal);
        Assert.Contains("\"parameters\":{\"max_connections\":200,\"work_mem\":\"64MB\"}", Config(ctl),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_wrong_is_not_written_without_force()
    {
        var ctl = new Ctl().WithPay();

        var refused = await ctl.RunAsync("edit-config pay -q -s ttl=5 -s retry_timeout=10 -s loop_wiat=1");
        var before = Config(ctl);
        var forced = await ctl.RunAsync("edit-config pay -q -s ttl=5 --force");

        Assert.Equal((1, ""), (refused.ExitCode, refused.Output));
        Assert.Equal(
            """
            Error: ttl 5, loop_wait 10, retry_timeout 10 do not fit together: loop_wait + 2 × retry_timeout must not exceed ttl.
            Error: loop_wiat is no setting; loop_wait is.
            Hint: Nothing was changed. --force writes it all the same.

            """,
            refused.Error);
        Assert.Equal(Present, before);
        Assert.Equal((0, "Configuration changed\n"), (forced.ExitCode, forced.Output));
    }

    [Fact]
    public async Task A_file_is_merged_or_takes_the_place_of_all()
    {
        using var directory = new TempDirectory();
        File.WriteAllText(directory["part.yml"], "loop_wait: 5\nsynchronous_mode: null\n");
        File.WriteAllText(directory["whole.yml"], "retry_timeout: 4\nttl: 20\n");
        var ctl = new Ctl().WithPay();

        await ctl.RunAsync($"edit-config pay -q --force --apply {directory["part.yml"]}");
        var merged = Config(ctl);
        await ctl.RunAsync(
            $"edit-config pay -q --force --replace {directory["whole.yml"]} --apply {directory["part.yml"]} -s ttl=25");

        Assert.Equal("""{"ttl":30,"loop_wait":5}""", merged);
        Assert.Equal("""{"ttl":25,"loop_wait":5,"retry_timeout":4}""", Config(ctl));
    }

    [Fact]
    public async Task The_standard_input_is_applied_with_force_only()
    {
        var ctl = new Ctl().WithPay();

        var shown = await ctl.RunAsync("edit-config pay --apply -", "loop_wait: 5");
        var before = Config(ctl);
        var applied = await ctl.RunAsync("edit-config pay --apply - --force -q", "loop_wait: 5");

        Assert.Equal(0, shown.ExitCode);
        Assert.EndsWith("+loop_wait: 5\n synchronous_mode: quorum\n ttl: 30\nUse --force option to apply changes\n",
            shown.Output, StringComparison.Ordinal);
        Assert.Equal(Present, before);
        Assert.Equal(new(0, "Configuration changed\n", ""), applied);
    }

    [Fact]
    public async Task An_editor_changes_the_text_and_what_is_wrong_can_be_edited_again()
    {
        using var directory = new TempDirectory();
        var editor = Editor(directory, """
            if grep -q 'loop_wait: 10' "$1"; then sed -i 's/loop_wait: 10/loop_wiat: 5/' "$1"; else sed -i 's/loop_wiat: 5/loop_wait: 5/' "$1"; fi
            """);
        var ctl = new Ctl { Variables = { ["EDITOR"] = editor } }.WithPay();

        var ended = await ctl.RunAsync("edit-config pay -q", "y", "y");

        Assert.Equal("Edit again? [y/N]: Apply these changes? [y/N]: Configuration changed\n", ended.Output);
        Assert.Equal("Error: loop_wiat is no setting; loop_wait is.\n", ended.Error);
        Assert.Equal("""{"ttl":30,"loop_wait":5,"synchronous_mode":"quorum"}""", Config(ctl));
    }

    [Theory]
    [InlineData("exit 3", "The editor ")]
    [InlineData("echo 'a: [' > \"$1\"", "the edited text:")]
    [InlineData("echo 'text' > \"$1\"", "the edited text: must be a mapping of keys to values")]
    public async Task An_editor_that_fails_or_leaves_no_YAML_changes_nothing(string script, string error)
    {
        using var directory = new TempDirectory();
        var ctl = new Ctl { Variables = { ["EDITOR"] = Editor(directory, script) } }.WithPay();

        var ended = await ctl.RunAsync("edit-config pay");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith($"Error: {error}", ended.Error, StringComparison.Ordinal);
        Assert.Equal(Present, Config(ctl));
    }

    [Fact]
    public async Task Without_an_editor_it_is_an_error()
    {
        var ended = await new Ctl().WithPay().RunAsync("edit-config pay");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("Error: EDITOR environment variable is not set.", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_change_by_somebody_else_in_between_is_not_overwritten()
    {
        using var directory = new TempDirectory();
        var reached = directory["reached"];
        var go = directory["go"];
        var ctl = new Ctl
        {
            Variables =
                { ["EDITOR"] =
                    Editor(
                        directory,
                        $"sed -i 's/loop_wait: 10/loop_wait: 5/' \"$1\"; touch {reached}; while [ ! -e {go} ]; do "
                            + "sleep 0.05; done") },
        }.WithPay();

        var running = ctl.RunAsync("edit-config pay --force");
        await WaitUntil.TrueAsync(() => File.Exists(reached));
        ctl.Dcs.Put("config", """{"ttl":40}""");
        File.WriteAllText(go, "");
        var ended = await running;

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("Error: Config modification aborted due to concurrent changes\n", ended.Error,
            StringComparison.Ordinal);
        Assert.Equal("""{"ttl":40}""", Config(ctl));
    }

    [Theory]
    [InlineData("edit-config pay -s ttl", "Invalid parameter setting ttl")]
    [InlineData("edit-config pay -s =5", "Invalid parameter setting =5")]
    [InlineData("edit-config pay -s a..b=5", "Invalid parameter setting a..b=5")]
    [InlineData("edit-config pay -s a={", "Invalid parameter setting a={:")]
    [InlineData("edit-config pay --apply /nonexistent.yml", "The file /nonexistent.yml can't be read:")]
    public async Task What_can_not_be_read_is_an_error(string commandLine, string error)
    {
        var ended = await new Ctl().WithPay().RunAsync(commandLine);

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith($"Error: {error}", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_the_key_or_the_operators_consent_nothing_is_written()
    {
        var ctl = new Ctl().WithPay();

        var declined = await ctl.RunAsync("edit-config pay -q -s ttl=40", "n");
        var dry = await ctl.RunAsync("edit-config pay -q -s ttl=40 --dry-run");
        var kept = Config(ctl);
        ctl.Dcs.Delete("config");
        var missing = await ctl.RunAsync("edit-config pay -s ttl=40");

        Assert.Equal((1, "Error: Nothing was changed\n"), (declined.ExitCode, declined.Error));
        Assert.Equal(new(0, "Dry run: the configuration would be written\n", ""), dry);
        Assert.Equal(Present, kept);
        Assert.Equal((1, "Error: The config key does not exist in the cluster\n"), (missing.ExitCode, missing.Error));
    }

    [Fact]
    public async Task On_a_terminal_the_difference_goes_through_the_pager_in_colours()
    {
        using var directory = new TempDirectory();
        var ctl = new Ctl { IsTerminal = true, HasColours = true,
            Variables = { ["PAGER"] = $"cat > {directory["paged"]}" } }.WithPay();

        var ended = await ctl.RunAsync("edit-config pay -s ttl=40 --force");

        Assert.Equal("Configuration changed\n", ended.Output);
        Assert.Contains("\e[31m-ttl: 30\e[0m\n\e[32m+ttl: 40\e[0m\n", File.ReadAllText(directory["paged"]),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_difference_has_three_lines_around_each_change()
    {
        var before = string.Concat(Enumerable.Range(1, 20).Select(i => $"{i}\n"));
        var after = before.Replace("\n2\n", "\n", StringComparison.Ordinal)
            .Replace("\n15\n", "\n15\nnew\n", StringComparison.Ordinal);

        Assert.Equal(
            ["--- ", "+++ ", "@@ -1,5 +1,4 @@", " 1", "-2", " 3", " 4", " 5", "@@ -13,6 +12,7 @@", " 13", " 14", " 15",
                "+new", " 16", " 17", " 18"],
            UnifiedDiff.Of(before, after));
        Assert.Equal(["--- ", "+++ ", "@@ -0,0 +1 @@", "+a"], UnifiedDiff.Of("", "a\n"));
        Assert.Empty(UnifiedDiff.Of(before, before));
    }

    private static string Config(Ctl ctl) => ctl.Dcs.Keys["config"].Value;

    private static string Editor(TempDirectory directory, string script)
    {
        var file = directory["editor"];
        File.WriteAllText(file, script + "\n");
        return $"sh {file}";
    }
}
