using System.Diagnostics;
using Routing.TestKit;

namespace Routing.Cli.Tests;

public sealed class CompletionTests
{
    [Theory]
    [InlineData("routingctl re", "reinit reload remove restart restore resume")]
    [InlineData("routingctl pause --w", "--wait")]
    [InlineData("routingctl restart pay ", "pg-a pg-b")]
    [InlineData("routingctl restart pay pg-", "pg-a pg-b")]
    [InlineData("routingctl switchover --candidate ", "pg-a pg-b")]
    [InlineData("routingctl why ", "pg-a pg-b")]
    [InlineData("routingctl why --", "--last --commit")]
    [InlineData("routingctl events pay pg-", "pg-a pg-b")]
    [InlineData("routingctl events --kind ", "leader job write")]
    [InlineData("routingctl list ", "pay")]
    [InlineData("routingctl list -f ", "json pretty tsv yaml yml")]
    [InlineData("routingctl reload pay -r ", "any leader primary replica standby standby-leader")]
    [InlineData("routingctl completion ", "bash fish zsh")]
    [InlineData("routingctl flush pay ", "pg-a pg-b restart switchover")]
    public async Task Words_that_can_follow_are_suggested(string line, string words)
    {
        var ctl = WithScope();

        var ended = await ctl.RunAsync([$"[suggest:{line.Length}]", line], [], TestContext.Current.CancellationToken);

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        var found = ended.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(words.Split(' '), word => Assert.Contains(word, found));
        if (line.EndsWith("re", StringComparison.Ordinal))
        {
            Assert.DoesNotContain("list", found);
        }
    }

    [Fact]
    public async Task A_DCS_that_can_not_be_asked_leaves_the_line_alone()
    {
        var ctl = WithScope();
        ctl.Store = () =>
        {
            var store = ctl.Dcs.Connect();
            store.RequestTimeout = TimeSpan.FromMilliseconds(50);
            store.IsCutOff = true;
            return store;
        };
        const string line = "routingctl restart pay ";

        var ended = await ctl.RunAsync([$"[suggest:{line.Length}]", line], [], TestContext.Current.CancellationToken);

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.DoesNotContain("pg-a", ended.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bash", "complete -o default -F _routingctl routingctl\n")]
    [InlineData("zsh", "compdef _routingctl routingctl\n")]
    [InlineData("fish", "complete --command routingctl --arguments '(__routingctl_words)'\n")]
    public async Task Each_shell_has_its_script(string shell, string lastLine)
    {
        var ended = await new Ctl().RunAsync($"completion {shell}");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.EndsWith(lastLine, ended.Output, StringComparison.Ordinal);
        Assert.Contains("[suggest:", ended.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("routingctl switch", "switchover")]
    [InlineData("routingctl list --time", "--timestamp")]
    public async Task Bash_completes_a_word_with_it(string line, string completed)
    {
        using var directory = new TempDirectory();
        File.WriteAllText(directory["completion.bash"], (await new Ctl().RunAsync("completion bash")).Output);
        var words = line.Split(' ');
        var script = $"""
            routingctl() ( exec {Programs.Ctl} "$@" )
            . {directory["completion.bash"]}
            COMP_WORDS=({line}) COMP_CWORD={words.Length - 1} COMP_LINE='{line}' COMP_POINT={line.Length}
            _routingctl
            echo "$(IFS=,; echo "$COMPREPLY")"
            """;

        using var bash = Process.Start(new ProcessStartInfo("bash", ["-c", script]) { RedirectStandardOutput = true })!;
        var output = await bash.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await bash.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(completed, output.Trim());
    }

    private static Ctl WithScope() => new Ctl { Variables = { ["PATRONI_SCOPE"] = "pay" } }.WithPay();
}
