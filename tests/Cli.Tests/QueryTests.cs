using System.Text.Json.Nodes;
using Routing.Cli.Output;
using Routing.Cli.Sql;
using Routing.TestKit;

namespace Routing.Cli.Tests;

/// <summary>What of <c>query</c> needs no server; the rest is tested with a real one.</summary>
public sealed class QueryTests
{
    [Theory]
    [InlineData("query pay", "You need to specify either --command or --file")]
    [InlineData("query pay -c x -f y", "--file and --command are mutually exclusive options")]
    [InlineData("query pay -f /nonexistent.sql", "The file /nonexistent.sql can't be read:")]
    [InlineData("query pay -c x -r replica -m pg-a", "--role and --member are mutually exclusive options")]
    public async Task What_is_asked_must_be_clear(string commandLine, string error)
    {
        var ended = await new Ctl().WithPay().RunAsync(commandLine);

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith($"Error: {error}", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_member_that_is_not_there_is_a_row_and_no_error()
    {
        var ctl = new Ctl().WithPay();

        var byName = await ctl.RunAsync("query pay -c SELECT -m pg-x --delimiter |");
        var byRole = await ctl.RunAsync("query pay -c SELECT -r standby-leader --format json");

        Assert.Equal(new(0, "2026-08-01 12:00:00|No connection to member pg-x is available\n", ""), byName);
        Assert.Equal(
            """[{"0": "2026-08-01 12:00:00", "1": "No connection to role=standby-leader is available"}]""" + "\n",
            byRole.Output);
    }

    [Fact]
    public async Task A_server_that_does_not_answer_is_logged()
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember(
            "pg-a",
            $$"""{"conn_url":"postgres://127.0.0.1:{{FreePorts.Take()}}/postgres","role":"primary","state":"running"}""");

        var ended = await ctl.RunAsync("query pay -c SELECT");

        Assert.Equal((0, "2026-08-01 12:00:00\tNo connection to role=leader is available\n"),
            (ended.ExitCode, ended.Output));
        Assert.Contains("PostgreSQL of pg-a can't be reached: ", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_short_option_of_the_command_has_precedence_over_the_global_one()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("query pay -d shop -c SELECT -m pg-x");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Equal("http://localhost:2379/", ctl.Opened[0].Options.Endpoints[0].ToString());
    }

    [Theory]
    [InlineData(nameof(OutputFormat.Tsv), "a|b|a\nTrue|None|1.50\nFalse|x|7\n")]
    [InlineData(
        nameof(OutputFormat.Json),
        """[{"a": true, "b": null, "a_2": 1.50}, {"a": false, "b": "x", "a_2": 7}]""" + "\n")]
    [InlineData(nameof(OutputFormat.Yaml), "- a: true\n  a_2: 1.50\n  b: null\n- a: false\n  a_2: 7\n  b: x\n")]
    [InlineData(
        nameof(OutputFormat.Pretty),
        "+-------+------+------+\n| a     | b    |    a |\n+-------+------+------+\n"
        + "| True  | None | 1.50 |\n| False | x    |    7 |\n+-------+------+------+\n")]
    public void Rows_are_printed_in_every_form(string format, string expected)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var result = new QueryResult(
            [new("a"), new("b"), new("a", AlignRight: true)],
            [[true, null, JsonNode.Parse("1.50")], [false, "x", 7]]);

        result.Print(output, Enum.Parse<OutputFormat>(format), "|");

        Assert.Equal(expected, output.ToString());
    }
}
