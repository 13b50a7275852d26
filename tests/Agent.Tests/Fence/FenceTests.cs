using System.Diagnostics;
using Routing.Agent.Fence;
using Routing.Agent.Native;
using Routing.Agent.Tests.Native;

namespace Routing.Agent.Tests.Fence;

/// <summary>The fence's own process against a real PostgreSQL.</summary>
[Trait("Category", "Integration")]
public sealed class FenceTests : IAsyncLifetime
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(500);

    private readonly string _directory = Directory.CreateTempSubdirectory("routing-fence-").FullName;
    private readonly List<FenceClient> _clients = [];
    private RealPostgres _postgres = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private FenceSettings Settings => new(
        Path.Combine(_directory, "fence"), "dotnet", [Path.Combine(AppContext.BaseDirectory, "Routing.Agent.dll")]);

    public async ValueTask InitializeAsync() => _postgres = await RealPostgres.StartAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
        {
            client.Dismiss();
            if (client.FencePid is { } pid)
            {
                RealPostgres.Signal(Signals.Continue, pid);
                await Eventually.TrueAsync(() => ProcessStat.Read(pid) is not { IsAlive: true }, "the dismissed fence has ended");
            }

            client.Dispose();
        }

        await _postgres.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_passed_deadline_ends_every_process_of_PostgreSQL()
    {
        await using var session = await _postgres.ConnectAsync();
        var fence = await ArmedFenceAsync(TimeSpan.FromMilliseconds(300));
        var all = _postgres.AllPids;

        var late = await UntilGoneAsync(all, after: TimeSpan.FromMilliseconds(300));

        Assert.InRange(late, TimeSpan.Zero, Bound);
        var report = await ReportAsync(fence);
        Assert.Equal((1, _postgres.Pid, FencingReason.AgentSilent, 0), (report.Number, report.PostmasterPid, report.Reason, report.LeftOver));
        Assert.InRange(report.LateBy, TimeSpan.Zero, TimeSpan.FromMilliseconds(100));
        Assert.False(fence.IsArmed);
    }

    [Fact]
    public async Task Stopped_processes_are_ended_too()
    {
        await using var session = await _postgres.ConnectAsync();
        var fence = await ArmedFenceAsync(TimeSpan.FromMilliseconds(500));
        var all = _postgres.AllPids;

        RealPostgres.Signal(Signals.Stop, [.. all]);
        var late = await UntilGoneAsync(all, after: TimeSpan.FromMilliseconds(500));

        Assert.InRange(late, TimeSpan.Zero, Bound);
        Assert.Equal(all.Count, (await ReportAsync(fence)).Killed);
    }

    [Fact]
    public async Task A_stopped_backend_of_a_living_postmaster_is_ended_too()
    {
        await using var session = await _postgres.ConnectAsync();
        var backend = session.ProcessID;
        await ArmedFenceAsync(TimeSpan.FromMilliseconds(500));
        var all = _postgres.AllPids;

        RealPostgres.Signal(Signals.Stop, backend);
        var late = await UntilGoneAsync(all, after: TimeSpan.FromMilliseconds(500));

        Assert.InRange(late, TimeSpan.Zero, Bound);
    }

    [Fact]
    public async Task Busy_backends_are_ended_too()
    {
        var loop = await _postgres.RunForeverAsync("DO $$ BEGIN LOOP END LOOP; END $$");
        var query = await _postgres.RunForeverAsync("SELECT count(*) FROM generate_series(1, 1000000000000) a, pg_sleep(0)");
        var fence = await ArmedFenceAsync(TimeSpan.FromMilliseconds(500));
        var all = _postgres.AllPids;

        var late = await UntilGoneAsync(all, after: TimeSpan.FromMilliseconds(500));

        Assert.InRange(late, TimeSpan.Zero, Bound);
        await Assert.ThrowsAnyAsync<Exception>(() => loop);
        await Assert.ThrowsAnyAsync<Exception>(() => query);
        Assert.Equal(0, (await ReportAsync(fence)).LeftOver);
    }

    [Fact]
    public async Task Children_that_outlived_their_postmaster_are_ended_at_the_deadline()
    {
        var busy = await _postgres.RunForeverAsync("DO $$ BEGIN LOOP END LOOP; END $$");
        var fence = await ArmedFenceAsync(TimeSpan.FromMilliseconds(1500));
        var all = _postgres.AllPids;

        RealPostgres.Signal(Signals.Kill, _postgres.Pid);
        var late = await UntilGoneAsync(all, after: TimeSpan.FromMilliseconds(1500));

        Assert.InRange(late, TimeSpan.FromSeconds(-1), Bound);
        Assert.InRange((await ReportAsync(fence)).Killed, 1, all.Count);
        await Assert.ThrowsAnyAsync<Exception>(() => busy);
    }

    [Theory]
    [InlineData(Signals.Kill, FencingReason.AgentGone)]
    [InlineData(Signals.Stop, FencingReason.AgentFrozen)]
    internal async Task An_agent_that_was_killed_or_frozen_does_not_save_its_primary(int signal, FencingReason reason)
    {
        var fence = await ArmedFenceAsync(TimeSpan.FromMilliseconds(500));
        using var agent = Spawner.Start(new SpawnRequest("sleep", ["60"]));
        using (var page = FencePage.OpenForAgent(Settings.StateFile))
        {
            page.SetAgent(ProcessStat.Read(agent.Pid)!.Value);
        }

        var all = _postgres.AllPids;
        agent.TrySignal(signal);
        var late = await UntilGoneAsync(all, after: TimeSpan.FromMilliseconds(500));

        Assert.InRange(late, TimeSpan.FromMilliseconds(-100), Bound);
        Assert.Equal(reason, (await ReportAsync(fence)).Reason);
        agent.TrySignal(Signals.Kill);
        await agent.WaitForExitAsync(Cancelled);
    }

    [Fact]
    public async Task Signals_to_the_fence_end_it_only_when_it_guards_nothing()
    {
        var fence = await ArmedFenceAsync(TimeSpan.FromSeconds(30));
        using var process = PidFd.TryOpen(fence.FencePid!.Value)!;
        var stat = await File.ReadAllTextAsync($"/proc/{process.Pid}/stat", Cancelled);
        Assert.Equal(process.Pid.ToString(), stat.Split(' ')[5]);   // a session of its own

        process.TrySignal(Signals.Terminate);
        process.TrySignal(Signals.Hangup);
        await PassAsync(TimeSpan.FromMilliseconds(300));
        Assert.True(fence.IsGuarding);

        fence.Disarm();
        await process.WaitForExitAsync(Cancelled).WaitAsync(TimeSpan.FromSeconds(5), Cancelled);
    }

    [Fact]
    public async Task A_fence_that_was_frozen_itself_acts_when_it_wakes_after_the_deadline_and_not_when_it_was_extended()
    {
        var fence = await ArmedFenceAsync(TimeSpan.FromMilliseconds(700));
        var pid = fence.FencePid!.Value;
        var all = _postgres.AllPids;

        RealPostgres.Signal(Signals.Stop, pid);
        Assert.True(fence.ExtendUntil(After(TimeSpan.FromMilliseconds(1500))));
        await PassAsync(TimeSpan.FromMilliseconds(1000));
        RealPostgres.Signal(Signals.Continue, pid);
        await Eventually.TrueAsync(() => fence.IsGuarding, "it is awake");
        Assert.Null(fence.LastFencing);

        RealPostgres.Signal(Signals.Stop, pid);
        await PassAsync(TimeSpan.FromMilliseconds(800));
        Assert.All(all, one => Assert.True(ProcessStat.Read(one) is { IsAlive: true }));
        RealPostgres.Signal(Signals.Continue, pid);
        Assert.InRange(await UntilGoneAsync(all, after: TimeSpan.Zero), TimeSpan.Zero, Bound);
    }

    [Fact]
    public async Task A_disarmed_fence_never_acts_and_an_extended_one_acts_only_at_the_new_deadline()
    {
        var fence = await ArmedFenceAsync(TimeSpan.FromMilliseconds(400));

        // Extended six times, over three times the first deadline.
        for (var i = 0; i < 6; i++)
        {
            await PassAsync(TimeSpan.FromMilliseconds(200));
            Assert.True(fence.ExtendUntil(After(TimeSpan.FromMilliseconds(400))));
        }

        fence.Disarm();
        Assert.False(fence.ExtendUntil(After(TimeSpan.FromMilliseconds(1))));
        await PassAsync(TimeSpan.FromMilliseconds(1500));

        await using var session = await _postgres.ConnectAsync();
        Assert.Null(fence.LastFencing);
        Assert.True(fence.IsGuarding);
    }

    [Fact]
    public async Task A_shortened_deadline_counts_at_once()
    {
        var fence = await ArmedFenceAsync(TimeSpan.FromSeconds(30));
        var all = _postgres.AllPids;

        Assert.True(fence.ExtendUntil(After(TimeSpan.FromMilliseconds(100))));
        var late = await UntilGoneAsync(all, after: TimeSpan.FromMilliseconds(100));

        Assert.InRange(late, TimeSpan.Zero, Bound);
        await ReportAsync(fence);
        Assert.False(fence.ExtendUntil(After(TimeSpan.FromSeconds(30))));
    }

    [Fact]
    public async Task A_killed_fence_is_noticed_and_the_next_one_goes_on_with_the_order()
    {
        var ended = new TaskCompletionSource();
        var fence = await ArmedFenceAsync(TimeSpan.FromSeconds(30), ended.SetResult);
        var first = fence.FencePid!.Value;

        RealPostgres.Signal(Signals.Kill, first);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(5), Cancelled);
        Assert.False(fence.IsGuarding);
        await fence.EnsureRunningAsync(Cancelled);

        Assert.True(await fence.WaitUntilGuardingAsync(TimeSpan.FromSeconds(5), Cancelled));
        Assert.NotEqual(first, fence.FencePid);
        var all = _postgres.AllPids;
        Assert.True(fence.ExtendUntil(After(TimeSpan.FromMilliseconds(200))));
        Assert.InRange(await UntilGoneAsync(all, after: TimeSpan.FromMilliseconds(200)), TimeSpan.Zero, Bound);
    }

    [Fact]
    public async Task A_frozen_fence_is_replaced()
    {
        var fence = await ArmedFenceAsync(TimeSpan.FromSeconds(60));
        var first = fence.FencePid!.Value;

        RealPostgres.Signal(Signals.Stop, first);
        await Eventually.TrueAsync(() => !fence.IsGuarding, "its silence is noticed");
        await fence.EnsureRunningAsync(Cancelled);

        Assert.True(await fence.WaitUntilGuardingAsync(TimeSpan.FromSeconds(5), Cancelled));
        Assert.NotEqual(first, fence.FencePid);
        Assert.Null(ProcessStat.Read(first));
    }

    [Fact]
    public async Task The_next_agent_adopts_the_fence_and_reads_its_report()
    {
        var before = await ArmedFenceAsync(TimeSpan.FromSeconds(30));
        var pid = before.FencePid;
        before.Dispose();
        _clients.Remove(before);

        var after = Client();
        await after.EnsureRunningAsync(Cancelled);

        Assert.Equal(pid, after.FencePid);
        Assert.True(after.IsGuarding);
        Assert.True(after.IsArmed);
        var all = _postgres.AllPids;
        Assert.True(after.ExtendUntil(After(TimeSpan.FromMilliseconds(100))));
        await UntilGoneAsync(all, after: TimeSpan.FromMilliseconds(100));
        Assert.Equal(_postgres.Pid, (await ReportAsync(after)).PostmasterPid);
    }

    [Fact]
    public async Task A_deleted_state_file_leads_to_a_new_fence_with_the_same_order_and_the_old_one_leaves()
    {
        var fence = await ArmedFenceAsync(TimeSpan.FromSeconds(30));
        var first = fence.FencePid!.Value;

        File.Delete(Settings.StateFile);
        await fence.EnsureRunningAsync(Cancelled);

        Assert.True(await fence.WaitUntilGuardingAsync(TimeSpan.FromSeconds(5), Cancelled));
        Assert.NotEqual(first, fence.FencePid);
        Assert.True(fence.IsArmed);
        await Eventually.TrueAsync(() => ProcessStat.Read(first) is not { IsAlive: true }, "the old fence has left");
        await using var session = await _postgres.ConnectAsync();
    }

    private FenceClient Client(Action? onEnded = null)
    {
        var client = new FenceClient(Settings, TimeProvider.System, onEnded ?? (() => { }));
        _clients.Add(client);
        return client;
    }

    private async Task<FenceClient> ArmedFenceAsync(TimeSpan lease, Action? onEnded = null)
    {
        var client = Client(onEnded);
        await client.EnsureRunningAsync(Cancelled);
        client.Arm(_postgres.Pid, _postgres.Start, After(TimeSpan.FromSeconds(30)));
        Assert.True(await client.WaitUntilGuardingAsync(TimeSpan.FromSeconds(5), Cancelled));
        client.Arm(_postgres.Pid, _postgres.Start, After(lease));
        return client;
    }

    private static long After(TimeSpan span) =>
        TimeProvider.System.GetTimestamp() + (long)(span.TotalSeconds * TimeProvider.System.TimestampFrequency);

    /// <summary>Time itself is what these tests are about: a deadline passes, and something happens or does not.</summary>
    private static Task PassAsync(TimeSpan span) => Task.Delay(span, TimeProvider.System, Cancelled);

    /// <summary>How much later than the deadline the last process was gone.</summary>
    private static async Task<TimeSpan> UntilGoneAsync(IReadOnlyList<int> pids, TimeSpan after)
    {
        var start = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => pids.All(pid => ProcessStat.Read(pid) is not { IsAlive: true }), "PostgreSQL is gone");
        return Stopwatch.GetElapsedTime(start) - after;
    }

    private static async Task<FencingReport> ReportAsync(FenceClient fence)
    {
        await Eventually.TrueAsync(() => fence.LastFencing is not null && !fence.IsArmed, "the fence reports");
        return fence.LastFencing!;
    }
}
