using System.Diagnostics;
using System.Globalization;
using Routing.Agent.Fence;
using Routing.Agent.Native;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>A process is ours by what it runs and where it works, not by a number or by the text of a path.</summary>
[Trait("Category", "Integration")]
public sealed class PostmasterIdentityTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>
    /// After a power cut, or in a new container, the number in postmaster.pid soon belongs to somebody else.
    /// </summary>
    [Fact]
    public async Task A_stale_postmaster_pid_that_names_another_living_process_does_not_keep_PostgreSQL_down()
    {
        await using var node = await TestNode.PrimaryAsync("stale");
        var file = Path.Combine(node.Data, "postmaster.pid");
        var lines = await File.ReadAllLinesAsync(file, Cancellation);
        await node.Server.StopAsync(new StopPlan(StopMode.Immediate), Cancellation);
        using var other = Process.Start("sleep", "1000");
        try
        {
            lines[0] = other.Id.ToString(CultureInfo.InvariantCulture);
            await File.WriteAllLinesAsync(file, lines, Cancellation);

            Assert.Equal(ServerState.Stopped, (await node.ObserveAsync()).Server);
            Assert.Equal(StartOutcome.Running, await node.StartPrimaryAsync());

            Assert.False(other.HasExited);
            Assert.Equal("1", await node.ValueAsync("SELECT 1"));
        }
        finally
        {
            other.Kill();
        }
    }

    /// <summary>
    /// The same of the socket's lock file, which lies where a container may keep it longer than the server.
    /// </summary>
    [Fact]
    public async Task A_stale_lock_of_the_socket_that_names_another_living_process_does_not_keep_PostgreSQL_down()
    {
        await using var node = await TestNode.PrimaryAsync("lock");
        var sockets = (await node.ValueAsync("SHOW unix_socket_directories"))!;
        await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        using var other = Process.Start("sleep", "1000");
        try
        {
            var file = Path.Combine(sockets, $".s.PGSQL.{node.Port}.lock");
            await File.WriteAllTextAsync(file, $"{other.Id}\n{node.Data}\n1\n{node.Port}\n{sockets}\n", Cancellation);

            Assert.Equal(StartOutcome.Running, await node.StartPrimaryAsync());

            Assert.False(other.HasExited);
            Assert.Null(SocketLock.RemoveForeign(sockets, node.Port));   // the server's own
            Assert.True(File.Exists(file));
        }
        finally
        {
            other.Kill();
        }
    }

    [Fact]
    public async Task Files_that_are_gone_and_a_recovery_conf_that_was_left_do_not_keep_it_down()
    {
        await using var node = await TestNode.PrimaryAsync("gone");
        await node.Server.ApplyConfigurationAsync(
            TestNode.Config("""{"postgresql": {"parameters": {"work_mem": "7MB"}}}"""), force: true, Cancellation);
        await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        foreach (var name in new[] { "postgresql.conf", "pg_hba.conf", "pg_ident.conf" })
        {
            File.Delete(Path.Combine(node.Data, name));
        }
        await File.WriteAllTextAsync(Path.Combine(node.Data, "recovery.conf"), "restore_command = 'x'\n", Cancellation);

        Assert.Equal(StartOutcome.Running, await node.StartPrimaryAsync());

        Assert.Equal("7MB", await node.ValueAsync("SHOW work_mem"));
        Assert.True(File.Exists(Path.Combine(node.Data, "recovery.conf.old")));
    }

    [Fact]
    public async Task A_server_that_runs_is_found_through_any_path_that_leads_to_its_directory()
    {
        await using var node = await TestNode.PrimaryAsync("linked");
        var pid = (await node.ObserveAsync()).PostmasterPid;
        File.CreateSymbolicLink(node["link"], node.Data);

        var postmaster = new Postmaster(
            node["link"], TimeProvider.System, () => { },
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);

        Assert.Equal(pid, postmaster.Find()?.Pid);
    }

    /// <summary>
    /// Two containers on one machine may each call their directory the same, and see each other's processes.
    /// </summary>
    [Fact]
    public async Task Another_members_server_with_the_same_path_in_its_own_mount_namespace_is_left_alone()
    {
        await using var node = await TestNode.PrimaryAsync("mine");
        await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Directory.CreateDirectory(node["theirs"]);
        File.Copy("/bin/sleep", node["postgres"]);
        // In there the path of our directory leads to the other one, and a program called postgres works in it.
        var script =
            $"mount --bind '{node["theirs"]}' '{node.Data}' && cd '{node.Data}' && echo ready && exec "
                + $"'{node["postgres"]}' 1000";
        using var other =
            Process.Start(new ProcessStartInfo("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", script])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        try
        {
            if (await other.StandardOutput.ReadLineAsync(Cancellation) != "ready")
            {
                Assert.Skip(
                    $"No mount namespace to be had here: {await other.StandardError.ReadToEndAsync(Cancellation)}");
            }
            await WaitUntil.TrueAsync(
                () => Task.FromResult(File.ResolveLinkTarget($"/proc/{other.Id}/exe", false)?.Name == "postgres"),
                TimeSpan.FromSeconds(10), "it runs");
            Assert.Equal(node.Data, Directory.ResolveLinkTarget($"/proc/{other.Id}/cwd", false)?.FullName);

            var began = Stopwatch.GetTimestamp();
            Assert.Equal(StartOutcome.Running, await node.StartPrimaryAsync());

            Assert.False(other.HasExited, "our agent has ended another member's server");
            // A leftover would be waited for.
            BusyMachine.AssertWithin(TimeSpan.FromSeconds(10), Stopwatch.GetElapsedTime(began));
        }
        finally
        {
            other.Kill();
        }
    }

    [Fact]
    public async Task An_agent_that_is_started_again_finds_the_fence_that_guards_its_postmaster_by_its_old_name()
    {
        await using var node = await TestNode.PrimaryAsync("found");
        var pid = (await node.ObserveAsync()).PostmasterPid;
        var place = node["run"];
        var earlier = Directory.CreateDirectory(
            Path.Combine(place, "data-0000000000000000"),
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        using (var page = FencePage.OpenForAgent(Path.Combine(earlier, FenceSettings.StateFileName)))
        {
            page.PostmasterStart = ProcessStat.Read(pid)!.Value.StartTicks;
            page.SetWord(FenceWord.Armed(pid, BootInstant.Now + TimeSpan.FromMinutes(1)));

            Assert.Equal(earlier, FenceDirectory.For(node.Data, place));

            page.SetWord(FenceWord.Disarmed);
            Assert.NotEqual(earlier, FenceDirectory.For(node.Data, place));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_stop_whose_lease_runs_out_does_not_wait_for_a_script(bool isUrgent)
    {
        await using var node =
            await TestNode.PrimaryAsync("script", extra: "  before_stop: sh -c 'touch DIRECTORY/called; sleep 600'");
        var began = Stopwatch.GetTimestamp();

        var stopped = await node.Server.StopAsync(
            new StopPlan(StopMode.Immediate) { IsUrgent = isUrgent, BeforeStopLimit = TimeSpan.FromSeconds(8) },
            Cancellation);

        Assert.True(stopped.Ok, stopped.Detail);
        Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromMinutes(1));
        Assert.Equal(!isUrgent, File.Exists(node["called"]));
    }

    [Fact]
    public async Task A_checkpoint_before_a_stop_ends_when_it_is_told_to()
    {
        await using var node = await TestNode.PrimaryAsync("cancelled");
        using var cancel = new CancellationTokenSource();
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => node.Server.StopAsync(new StopPlan(StopMode.Fast, Checkpoint: true), cancel.Token));

        Assert.Equal(ServerState.Running, (await node.ObserveAsync()).Server);
    }

    [Fact]
    public async Task Once_its_last_session_has_ended_a_stopping_server_accepts_no_more_writes()
    {
        await using var primary = await TestNode.PrimaryAsync("first");
        await using var standby = await primary.StandbyAsync("second");
        var walReceiver = int.Parse((await standby.ValueAsync("SELECT pid FROM pg_stat_wal_receiver"))!,
            CultureInfo.InvariantCulture);
        await primary.ObserveAsync();
        using var receiver = PidFd.TryOpen(walReceiver)!;
        receiver.TrySignal(Signals.Stop);   // the stop waits for this standby
        try
        {
            var stop = primary.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);

            var seen = await primary.UntilAsync(now => now.SessionsHaveEnded);

            Assert.Equal((ServerState.Unresponsive, true, false), (seen.Server, seen.IsPrimary, seen.AcceptsWrites));
            receiver.TrySignal(Signals.Continue);
            Assert.True((await stop).Ok);
        }
        finally
        {
            receiver.TrySignal(Signals.Continue);
        }
    }
}
