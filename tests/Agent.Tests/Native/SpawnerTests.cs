using Routing.Agent.Native;

namespace Routing.Agent.Tests.Native;

public sealed class SpawnerTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_started_program_has_a_session_of_its_own_and_none_of_our_descriptors()
    {
        var log = Path.GetTempFileName();
        try
        {
            var script = "cut -d' ' -f1,5,6 /proc/$$/stat; ls -m /proc/$$/fd; grep -E 'Sig(Blk|Ign)' /proc/$$/status";

            using var process = Spawner.Start(new SpawnRequest("bash", ["-c", script]) { LogFile = log });
            await process.WaitForExitAsync(Cancelled);

            var lines = await File.ReadAllLinesAsync(log, Cancelled);
            Assert.Equal($"{process.Pid} {process.Pid} {process.Pid}", lines[0]);
            Assert.Equal("0, 1, 2", lines[1].Replace(", 255", ""));
            // Signals 1 to 31; 32 and 33 belong to the C library.
            Assert.All(lines[2..], line => Assert.Equal(0, Convert.ToInt64(line.Split('\t')[1], 16) & 0x7FFF_FFFF));
            Assert.Equal(2, lines[2..].Length);
        }
        finally
        {
            File.Delete(log);
        }
    }

    [Fact]
    public async Task A_started_program_outlives_its_parent()
    {
        // The shell stands for an agent: it starts a program in a session of its own and is killed.
        using var agent = Spawner.Start(new SpawnRequest("sh", ["-c", "setsid sleep 60 & wait"]));
        var child = await Eventually.ValueAsync(() =>
            ProcessStat.ChildrenOf(agent.Pid).Cast<ProcessStat?>().FirstOrDefault());
        using var program = PidFd.TryOpen(child.Pid, child.StartTicks)!;

        agent.TrySignal(Signals.Kill);
        await agent.WaitForExitAsync(Cancelled);

        Assert.False(program.HasExited);
        Assert.NotEqual(agent.Pid, ProcessStat.Read(program.Pid)!.Value.ParentPid);
        program.TrySignal(Signals.Kill);
    }

    [Fact]
    public void A_program_that_is_not_there_is_named_in_the_error()
    {
        var exception = Assert.Throws<IOException>(() => Spawner.Start(new SpawnRequest("/no/such/program", [])));

        Assert.Contains("/no/such/program", exception.Message, StringComparison.Ordinal);
        Assert.Contains("No such file", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Variables_are_added_changed_and_removed()
    {
        var result = await new CommandRunner(TimeProvider.System).CaptureAsync(
            new Command("sh", "-c", "echo $ROUTING_TEST; echo ${HOME-none}")
            {
                Environment = new Dictionary<string, string?> { ["ROUTING_TEST"] = "grün", ["HOME"] = null },
            },
            Cancelled);

        Assert.Equal("grün\nnone", result.Output);
    }
}
