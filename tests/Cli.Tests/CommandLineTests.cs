using Routing.Dcs;

namespace Routing.Cli.Tests;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("", "Required command was not provided")]
    [InlineData("lst", "Unrecognized command or argument 'lst'")]
    [InlineData("list pay --bogus", "There is no option '--bogus' here")]
    [InlineData("switchover --foce", "There is no option '--foce' here")]
    [InlineData("list pay -f xml", "'xml' is no output format: pretty, tsv, json, yaml, yml are")]
    [InlineData("list pay -w soon", "'soon' is no interval")]
    [InlineData("list pay -w 0", "'0' is no interval")]
    [InlineData("list pay --group -1", "'-1' is no Citus group")]
    [InlineData("list pay --group one", "'one' is no Citus group")]
    [InlineData("switchover pay --leader", "Required argument missing for option: '--leader'")]
    [InlineData("switchover pay more", "'more'")]
    [InlineData("restart", "Required argument")]
    [InlineData("reload pay -r boss", "'boss' is no role: leader, primary, standby-leader, replica, standby, any are")]
    [InlineData("restart pay --force --timeout 0", "'0' is no time-out")]
    [InlineData("rolling-restart pay --max-lag much", "'much' is no size")]
    [InlineData("completion tcsh", "'tcsh'")]
    [InlineData("flush pay everything", "'everything' can't be taken back")]
    [InlineData("flush pay", "Required argument")]
    [InlineData("events pay --kind gossip", "'gossip'")]
    [InlineData("events pay --last many", "'many' is no number of events")]
    public async Task A_wrong_command_line_ends_with_2_and_says_what_is_wrong(string commandLine, string error)
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync(commandLine);

        Assert.Equal((2, ""), (ended.ExitCode, ended.Output));
        Assert.Contains(error, ended.Error, StringComparison.Ordinal);
        Assert.Contains("--help' for help", ended.Error, StringComparison.Ordinal);
        Assert.Empty(ctl.Opened);
    }

    [Fact]
    public async Task Help_names_every_command_and_the_exit_codes()
    {
        var ctl = new Ctl();

        var ended = await ctl.RunAsync("--help");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.All(
            [
                "list", "topology", "switchover", "failover", "pause", "resume", "restart", "rolling-restart", "reload",
                "reinit", "flush", "remove",
                "dsn", "query", "edit-config", "check", "completion",
                "show-config", "history", "version", "Exit codes:",
            ],
            word => Assert.Contains(word, ended.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Global_options_may_stand_before_the_command_or_after_it()
    {
        var ctl = new Ctl().WithPay();

        await ctl.RunAsync("-d 10.0.0.1 list pay");
        await ctl.RunAsync("list pay --dcs-url 10.0.0.2");

        Assert.Equal(["http://10.0.0.1:2379/", "http://10.0.0.2:2379/"],
            ctl.Opened.Select(opened => opened.Options.Endpoints[0].ToString()));
    }

    [Fact]
    public async Task A_name_that_begins_with_an_at_sign_is_a_name_and_not_a_file()
    {
        var ctl = new Ctl().WithPay();

        await ctl.RunAsync("list @pay");

        Assert.Equal("/service/@pay", ctl.Opened[0].BasePath);
    }

    [Fact]
    public async Task A_DCS_that_does_not_answer_ends_with_1_and_a_hint()
    {
        var ctl = new Ctl().WithPay();
        ctl.Store = () =>
        {
            var store = ctl.Dcs.Connect();
            store.RequestTimeout = TimeSpan.FromMilliseconds(50);
            store.IsCutOff = true;
            return store;
        };

        var ended = await ctl.RunAsync("list pay");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("Error: ", ended.Error, StringComparison.Ordinal);
        Assert.Contains("Hint: Is etcd running", ended.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("certificate", "Error: it says so\nHint: See cacert, cert and key of the etcd3 section.\n")]
    [InlineData("login", "Error: it says so\nHint: See username and password of the etcd3 section.\n")]
    [InlineData("space", "Error: it says so\n")]
    public async Task A_refusal_of_etcd_comes_with_the_hint_that_fits_it(string kind, string said)
    {
        var ctl = new Ctl().WithPay();
        var cause = kind == "certificate" ? new IOException() : null;
        ctl.Store = () => throw new ClusterStoreException("it says so", cause)
        {
            IsRefusal = true, IsOfLogin = kind == "login",
        };

        var ended = await ctl.RunAsync("list pay");

        Assert.Equal((1, said), (ended.ExitCode, ended.Error));
    }
}
