using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Agent.Postgres.Verbs;

namespace Routing.Agent.Tests.Postgres;

/// <summary>What is told from words alone.</summary>
public sealed class RewindTextTests
{
    [Theory]
    [InlineData("FATAL:  could not write to file \"pg_wal/xlogtemp.7\": No space left on device", true)]
    [InlineData("FATAL:  lock file \"postmaster.pid\" already exists", true)]
    [InlineData("could not connect to server: FATAL:  the database system is shutting down", true)]
    [InlineData("could not open file \"base/1/2\": Permission denied", true)]
    [InlineData("ERROR:  permission denied for function pg_read_binary_file", false)]
    [InlineData("could not find common ancestor of the source and target cluster's timelines", false)]
    [InlineData("could not read WAL record at 0/3000060", false)]
    public void An_obstacle_that_passes_says_nothing_about_the_data(string words, bool passes) =>
        Assert.Equal(passes, RewindObstacle.Passes(words));

    [Theory]
    [InlineData("cp %p /a/%f", "cp pg_wal/00000001 /a/00000001")]
    [InlineData("x %%p 100% %q", "x %p 100% %q")]
    [InlineData("", "")]
    public void An_archive_command_gets_path_and_name(string template, string text) =>
        Assert.Equal(text, WalArchiving.CommandOf(template, "00000001"));

    [Theory]
    [InlineData("-77\n/d\n5\n", true)]
    [InlineData("77\n/d\n5\n", false)]
    public void A_backend_without_a_postmaster_is_told_by_the_sign_of_its_number(string text, bool isStandalone) =>
        Assert.Equal((77, isStandalone), (PostmasterFile.Parse(text)!.Pid, PostmasterFile.Parse(text)!.IsStandalone));
}
