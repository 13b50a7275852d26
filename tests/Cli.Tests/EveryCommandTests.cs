using System.Text.RegularExpressions;
using Microsoft.Extensions.Time.Testing;
using Routing.TestKit;

namespace Routing.Cli.Tests;

/// <summary>Every command and option that <c>patronictl</c> has is here, and some test uses it.</summary>
public sealed partial class EveryCommandTests
{
    /// <summary>The command, then each option with its other names; a word without dashes is an argument.</summary>
    private const string Surface = """
        list            -e|--extended -t|--timestamp -f|--format -W -w|--watch --group
        topology        -W -w|--watch --group
        dsn             -r|--role -m|--member --group
        query           --format -f|--file -c|--command --password -U|--username -d|--dbname -r|--role -m|--member
        query           --delimiter -W -w|--watch --group
        show-config     --group
        history         --group -f|--format
        version         --group
        edit-config     -q|--quiet -s|--set -p|--pg --apply --replace --force --group
        pause           --wait --group
        resume          --wait --group
        reload          -r|--role --force --group
        restart         -r|--role --any --scheduled --pg-version --pending --timeout --force --group
        reinit          --force --from-leader --wait --group
        flush           restart switchover -r|--role --force --group
        remove          -f|--format --group
        failover        --candidate --force --group
        switchover      --leader|--primary --candidate --scheduled --force --group
        demote-cluster  --host --port --restore-command --primary-slot-name --force
        promote-cluster --force
        """;

    private static readonly string[] s_everywhere = ["-c|--config-file", "-d|--dcs-url|--dcs", "-k|--insecure"];

    private static readonly ILookup<string, string> s_options = Surface.Split('\n')
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .SelectMany(words => words.Skip(1), (words, option) => (Command: words[0], Option: option))
        .ToLookup(one => one.Command, one => one.Option, StringComparer.Ordinal);

    [Fact]
    public async Task Each_has_its_options_by_all_their_names()
    {
        var missing = new List<string>();
        foreach (var command in s_options)
        {
            var help = (await new Ctl().RunAsync($"{command.Key} --help")).Output;
            missing.AddRange(command.Concat(s_everywhere).SelectMany(option => option.Split('|'))
                .Where(name => !Regex.IsMatch(help, $@"(?<![\w-]){name}(?![\w-])"))
                .Select(name => $"{command.Key} {name}"));
        }
        Assert.True(missing.Count == 0, string.Join('\n', missing));
    }

    [Fact]
    public async Task Each_names_defaults_by_words_that_people_can_type()
    {
        var odd = new List<string>();
        foreach (var command in s_options)
        {
            var help = (await new Ctl().RunAsync($"{command.Key} --help")).Output;
            odd.AddRange(Regex.Matches(help, @"\[default: ([^]]*)\]").Where(one => !IsWord(one.Groups[1].Value))
                .Select(one => $"{command.Key} {one.Value}"));
        }
        Assert.True(odd.Count == 0, string.Join('\n', odd));

        static bool IsWord(string text) => text.Length > 0 && text.All(letter => letter is >= 'a' and <= 'z' or '_');
    }

    [Fact]
    public void Each_is_used_by_a_test()
    {
        var used = CommandLines().ToHashSet();

        var missing = s_options.SelectMany(command => command
                .Where(option => !option.Split('|').Any(name => used.Contains((command.Key, name))))
                .Select(option => $"{command.Key} {option}"))
            .Concat(s_everywhere.Where(option =>
                !option.Split('|').Any(name => used.Any(one => one.Option == name))));

        Assert.True(used.Count > 100, $"{used.Count} options");
        Assert.Equal("", string.Join('\n', missing));
    }

    /// <summary>The keys of a Citus group lie below its number.</summary>
    [Theory]
    [InlineData("topology pay --group 3")]
    [InlineData("dsn pay --group 3")]
    [InlineData("query pay -c SELECT -m pg-x --group 3")]
    [InlineData("show-config pay --group 3")]
    [InlineData("history pay --group 3")]
    [InlineData("version pay pg-x --group 3")]
    [InlineData("edit-config pay -s ttl=31 --force --group 3")]
    [InlineData("pause pay --dry-run --group 3")]
    [InlineData("resume pay --dry-run --group 3")]
    [InlineData("reload pay --dry-run --force --group 3")]
    [InlineData("restart pay --dry-run --force --group 3")]
    [InlineData("reinit pay pg-b --dry-run --force --group 3")]
    [InlineData("flush pay restart --dry-run --force --group 3")]
    [InlineData("remove pay --dry-run --group 3")]
    [InlineData("failover pay --candidate pg-b --dry-run --force --group 3")]
    [InlineData("switchover pay --candidate pg-b --dry-run --force --group 3")]
    public async Task A_group_is_a_cluster_of_its_own(string commandLine)
    {
        var ctl = new Ctl().WithPay();

        await ctl.RunAsync(commandLine);

        Assert.NotEmpty(ctl.Opened);
        Assert.All(ctl.Opened, opened => Assert.Equal("/service/pay/3", opened.BasePath));
    }

    [Theory]
    [InlineData("list pay -W -f tsv", "\tpg-a\t")]
    [InlineData("topology pay -w 5", "| pg-a ")]
    [InlineData("query pay -c SELECT -m pg-x -W", "No connection to member pg-x")]
    [InlineData("query pay -c SELECT -m pg-x -w 5", "No connection to member pg-x")]
    public async Task A_watch_prints_again_until_it_is_interrupted(string commandLine, string word)
    {
        var time = new FakeTimeProvider(Ctl.Noon);
        var output = new SharedText();
        using var interrupted = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var running = new Ctl { Time = time }.WithPay().FollowAsync(commandLine.Split(' '), output, interrupted.Token);

        await WaitUntil.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return output.Text.Split(word).Length > 3;
        });
        await interrupted.CancelAsync();

        Assert.Equal(1, (await running).ExitCode);
    }

    [Fact]
    public async Task A_password_is_asked_for()
    {
        var ended = await new Ctl().WithPay().RunAsync("query pay -c SELECT -m pg-x --password", "geheim");

        Assert.Equal(0, ended.ExitCode);
        Assert.Contains("Password", ended.Output + ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", ended.Output + ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scheduled_restarts_are_taken_back_by_role()
    {
        var ended = await new Ctl().WithPay().RunAsync("flush pay restart -r replica --force");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Contains("No scheduled restart for member pg-b", ended.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("No scheduled restart for member pg-a", ended.Output, StringComparison.Ordinal);
    }

    /// <summary>The words of all command lines in tests, wrong ones left out.</summary>
    private static IEnumerable<(string Command, string Option)> CommandLines() =>
        from source in Repository.Tests("Cli.Tests").Concat(Repository.Tests("Integration.Tests"))
        where source.Key is not (nameof(CommandLineTests) + ".cs" or nameof(CompletionTests) + ".cs")
        from Match call in Call().Matches(source.Value)
        let words = Literal().Matches(call.Value).SelectMany(literal => literal.Groups[1].Value.Split(' ')).ToList()
        from command in words.Where(s_options.Contains).Take(1)
        from word in words
        select (command, word.Split('=')[0]);

    [GeneratedRegex(@"(?:RunAsync|FollowAsync|CtlAsync|CtlWithInputAsync|InlineData|RoutingctlAsync)\(.*?\)[;,\]\s]",
        RegexOptions.Singleline)]
    private static partial Regex Call();

    [GeneratedRegex("""
        "((?:[^"\\]|\\.)*)"
        """)]
    private static partial Regex Literal();
}
