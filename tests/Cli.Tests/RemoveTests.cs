namespace Routing.Cli.Tests;

public sealed class RemoveTests
{
    [Fact]
    public async Task Three_right_answers_delete_every_key()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("remove pay", "pay", "Yes I am aware", "pg-a");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.EndsWith(
            "-+\nPlease confirm the cluster name to remove: "
            + "You are about to remove all information in DCS for pay, please type: \"Yes I am aware\": "
            + "This cluster currently is healthy. Please specify the leader name to continue: ",
            ended.Output,
            StringComparison.Ordinal);
        Assert.Empty(ctl.Dcs.Keys);
    }

    [Theory]
    [InlineData("Cluster names specified do not match", "pax")]
    [InlineData("You did not exactly type \"Yes I am aware\"", "pay", "yes i am aware")]
    [InlineData("You did not specify the current leader of the cluster", "pay", "Yes I am aware", "pg-b")]
    public async Task One_wrong_answer_keeps_everything(string error, params string[] answers)
    {
        var ctl = new Ctl().WithPay();
        var before = ctl.Dcs.Keys.Count;

        var ended = await ctl.RunAsync("remove pay", answers);

        Assert.Equal((1, $"Error: {error}\n"), (ended.ExitCode, ended.Error));
        Assert.Equal(before, ctl.Dcs.Keys.Count);
    }

    [Fact]
    public async Task The_end_of_the_input_aborts()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("remove pay", "pay");

        Assert.Equal((1, "Aborted!\n"), (ended.ExitCode, ended.Error));
        Assert.NotEmpty(ctl.Dcs.Keys);
    }

    [Fact]
    public async Task Without_a_leader_there_is_no_third_question()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Delete("leader");

        var ended = await ctl.RunAsync("remove pay -f json", "pay", "Yes I am aware");

        Assert.Equal(0, ended.ExitCode);
        Assert.StartsWith("[{\"Cluster\": \"pay\"", ended.Output, StringComparison.Ordinal);
        Assert.Empty(ctl.Dcs.Keys);
    }

    [Fact]
    public async Task A_dry_run_deletes_nothing_and_a_Citus_group_has_to_be_named()
    {
        var ctl = new Ctl().WithPay();

        var dry = await ctl.RunAsync("remove pay --dry-run");
        ctl.Variables["PATRONI_CITUS_GROUP"] = "1";
        ctl.Variables["PATRONI_CITUS_DATABASE"] = "x";
        var citus = await ctl.RunAsync("remove pay");

        Assert.EndsWith("Dry run: every key below /service/pay/ would be deleted\n", dry.Output,
            StringComparison.Ordinal);
        Assert.NotEmpty(ctl.Dcs.Keys);
        Assert.Equal(1, citus.ExitCode);
        Assert.StartsWith("Error: For Citus clusters the --group must be specified", citus.Error,
            StringComparison.Ordinal);
    }
}
