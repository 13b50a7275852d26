using System.Runtime.Versioning;
using Routing.TestKit;

namespace Routing.Cli.Tests;

/// <summary><c>backup</c> runs on the member that makes the backups, and nowhere else.</summary>
[SupportedOSPlatform("linux")]
public sealed class BackupTests
{
    [Theory]
    [InlineData("pg-a", "leader", true)]
    [InlineData("pg-b", "leader", false)]
    [InlineData("pg-a", "replica", false)]
    [InlineData("pg-b", "replica", true)]
    public async Task One_member_makes_it_and_the_others_have_nothing_to_do(string self, string role, bool makes)
    {
        using var directory = new TempDirectory();
        var ctl = await NodeAsync(directory, self, "exit 0");

        var ended = await ctl.RunAsync($"-c {directory["agent.yml"]} backup pay --type full --role {role}");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Equal(makes, File.Exists(directory["called"]));
        if (makes)
        {
            Assert.Equal("--config=/x --stanza=pay --type=full backup\n",
                await File.ReadAllTextAsync(directory["called"], TestContext.Current.CancellationToken));
        }
        else
        {
            var other = self == "pg-a" ? "pg-b" : "pg-a";
            Assert.Equal($"Nothing to do here: {other} makes the backups of pay ({role}).\n", ended.Output);
        }
    }

    [Fact]
    public async Task Without_a_replica_the_leader_makes_it()
    {
        using var directory = new TempDirectory();
        var ctl = await NodeAsync(directory, "pg-a", "exit 0");
        ctl.Dcs.Delete("members/pg-b");

        Assert.Equal(0, (await ctl.RunAsync($"-c {directory["agent.yml"]} backup pay --role replica")).ExitCode);

        Assert.True(File.Exists(directory["called"]));
    }

    [Fact]
    public async Task A_backup_that_fails_is_an_error()
    {
        using var directory = new TempDirectory();
        var ctl = await NodeAsync(directory, "pg-a", "exit 55");

        var ended = await ctl.RunAsync($"-c {directory["agent.yml"]} backup pay");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("ended with the exit code 55: there is no new backup", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dry_run_runs_nothing_and_a_file_without_a_repository_is_refused()
    {
        using var directory = new TempDirectory();
        var ctl = await NodeAsync(directory, "pg-a", "exit 0");

        var dry = await ctl.RunAsync($"-c {directory["agent.yml"]} backup pay --dry-run");
        Assert.Equal(
            (0, $"Dry run: pg-a would run {directory["pgbackrest"]} --config=/x --stanza=pay --type=incr backup\n"),
            (dry.ExitCode, dry.Output));
        Assert.False(File.Exists(directory["called"]));

        await Ctl.RefusesAsync("backup pay", "The configuration names no member, or has no pgbackrest section");
    }

    private static async Task<Ctl> NodeAsync(TempDirectory directory, string self, string end)
    {
        var program = directory["pgbackrest"];
        await File.WriteAllTextAsync(program, $"#!/bin/sh\necho \"$*\" > {directory["called"]}\n{end}\n");
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await File.WriteAllTextAsync(directory["agent.yml"], $$"""
            scope: pay
            name: {{self}}
            pgbackrest: {stanza: pay, command: {{program}}, config: /x}
            """);
        return new Ctl().WithPay();
    }
}
