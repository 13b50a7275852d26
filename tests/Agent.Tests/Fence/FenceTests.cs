using Routing.Agent.Fence;
using Routing.Agent.Native;
using Routing.Agent.Tests.Native;

namespace Routing.Agent.Tests.Fence;

/// <summary>The fence's own process against a real PostgreSQL.</summary>
[Trait("Category", "Integration")]
public sealed class FenceTests : IAsyncLifetime
{
    private static readonly TimeSpan s_bound = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(30);

    private readonly List<FenceClient> _clients = [];
    private string _directory = "";
    private RealPostgres _postgres = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private FenceSettings Settings => new(
        Path.Combine(_directory, "page", "fence"), "dotnet",
        [Path.Combine(AppContext.BaseDirectory, "Routing.Agent.dll")]);

    public async ValueTask InitializeAsync()
    {
        _directory = Directory.CreateTempSubdirectory("routing-fence-").FullName;
        _postgres = await RealPostgres.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
        {
            client.Dismiss();
            if (client.FencePid is { } pid)
            {
                RealPostgres.Signal(Signals.Continue, pid);
                await Eventually.TrueAsync(
                    () => ProcessStat.Read(pid) is not { IsAlive: true }, "the dismissed fence has ended");
            }

            client.Dispose();
        }

        _clients.Clear();
        await _postgres.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_fence_that_is_dismissed_takes_its_directory_with_it()
    {
        var (fence, _) = await ArmedFenceAsync(s_long);
        Assert.True(File.Exists(Settings.StateFile));

        fence.Dismiss();

        await Eventually.TrueAsync(() => !Directory.Exists(Path.GetDirectoryName(Settings.StateFile)),
            "the directory is gone");
        Assert.NotEmpty(_postgres.AllPids);
    }

    [Fact]
    public Task A_passed_deadline_ends_every_process_of_PostgreSQL() => OneOfThreeRunsIsInTimeAsync(async () =>
    {
        await using var session = await _postgres.ConnectAsync();
        var all = _postgres.AllPids;
        var (fence, deadline) = await ArmedFenceAsync(TimeSpan.FromMilliseconds(300));

        var late = await LateAsync(all, deadline);

        var report = await ReportAsync(fence);
        Assert.Equal((1, _postgres.Pid, FencingReason.AgentSilent, 0),
            (report.Number, report.PostmasterPid, report.Reason, report.LeftOver));
        Assert.True(report.LateBy >= TimeSpan.Zero);
        Assert.False(fence.IsArmed);
        // Waking is a fifth of what there is to do: 100 ms of the 500.
        return TimeSpan.FromTicks(Math.Max(late.Ticks, 5 * report.LateBy.Ticks));
    });

    [Fact]
    public Task Stopped_processes_are_ended_too() => OneOfThreeRunsIsInTimeAsync(async () =>
    {
        await using var session = await _postgres.ConnectAsync();
        var (fence, _) = await ArmedFenceAsync(s_long);
        await FreezeAsync(_postgres.Pid);   // first, so that no child is born after the count
        var all = _postgres.AllPids;
        await FreezeAsync([.. all]);

        var late = await LateWhenShortenedAsync(fence, all);

        Assert.Equal(all.Count, (await ReportAsync(fence)).Killed);
        return late;
    });

    [Fact]
    public Task A_stopped_backend_of_a_living_postmaster_is_ended_too() => OneOfThreeRunsIsInTimeAsync(async () =>
    {
        await using var session = await _postgres.ConnectAsync();
        var (fence, _) = await ArmedFenceAsync(s_long);
        var all = _postgres.AllPids;

        await FreezeAsync(session.ProcessID);

        return await LateWhenShortenedAsync(fence, all);
    });

    [Fact]
    public Task Busy_backends_are_ended_too() => OneOfThreeRunsIsInTimeAsync(async () =>
    {
        var loop = await _postgres.RunForeverAsync("DO $$ BEGIN LOOP END LOOP; END $$");
        var query =
            await _postgres.RunForeverAsync("SELECT count(*) FROM generate_series(1, 1000000000000) a, pg_sleep(0)");
        var all = _postgres.AllPids;
        var (fence, deadline) = await ArmedFenceAsync(TimeSpan.FromMilliseconds(500));

        var late = await LateAsync(all, deadline);

        await Assert.ThrowsAnyAsync<Exception>(() => loop);
        await Assert.ThrowsAnyAsync<Exception>(() => query);
        Assert.Equal(0, (await ReportAsync(fence)).LeftOver);
        return late;
    });

    [Fact]
    public Task Children_that_outlived_their_postmaster_are_ended_at_the_deadline() =>
        OneOfThreeRunsIsInTimeAsync(async () =>
    {
        var busy = await _postgres.RunForeverAsync("DO $$ BEGIN LOOP END LOOP; END $$");
        var (fence, _) = await ArmedFenceAsync(s_long);
        var all = _postgres.AllPids;
        // A beat comes before the look at the family: with the second one, a whole look has been.
        await BeatAsync();
        await BeatAsync();

        RealPostgres.Signal(Signals.Kill, _postgres.Pid);
        await Eventually.TrueAsync(() => ProcessStat.Read(_postgres.Pid) is not { IsAlive: true },
            "the postmaster has ended");
        var late = await LateWhenShortenedAsync(fence, all);

        Assert.InRange((await ReportAsync(fence)).Killed, 1, all.Count);
        await Assert.ThrowsAnyAsync<Exception>(() => busy);
        return late;
    });

    [Theory]
    [InlineData(Signals.Kill, FencingReason.AgentGone)]
    [InlineData(Signals.Stop, FencingReason.AgentFrozen)]
    internal Task An_agent_that_was_killed_or_frozen_does_not_save_its_primary(int signal, FencingReason reason) =>
        OneOfThreeRunsIsInTimeAsync(async () =>
        {
            var (fence, _) = await ArmedFenceAsync(s_long);
            using var agent = Spawner.Start(new SpawnRequest("sleep", ["60"]));
            using (var page = FencePage.OpenForAgent(Settings.StateFile))
            {
                page.SetAgent(ProcessStat.Read(agent.Pid)!.Value);
            }

            var all = _postgres.AllPids;
            agent.TrySignal(signal);
            await Eventually.TrueAsync(() => ProcessStat.Read(agent.Pid) is not { IsAlive: true, IsFrozen: false },
                "the signal has worked");
            var late = await LateWhenShortenedAsync(fence, all);

            Assert.Equal(reason, (await ReportAsync(fence)).Reason);
            agent.TrySignal(Signals.Kill);
            await agent.WaitForExitAsync(Cancelled);
            return late;
        });

    [Fact]
    public async Task Signals_to_the_fence_end_it_only_when_it_guards_nothing()
    {
        var (fence, _) = await ArmedFenceAsync(s_long);
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
    public Task A_fence_that_was_frozen_itself_acts_when_it_wakes_after_the_deadline_and_not_when_it_was_extended() =>
        OneOfThreeRunsIsInTimeAsync(async () =>
        {
            var (fence, _) = await ArmedFenceAsync(s_long);
            var pid = fence.FencePid!.Value;
            var all = _postgres.AllPids;

            // As long as it is frozen, a passed deadline can be extended.
            await FreezeAsync(pid);
            await PassShortenedDeadlineAsync(fence);
            Assert.True(fence.ExtendUntil(After(2 * s_long)));
            RealPostgres.Signal(Signals.Continue, pid);
            await BeatAsync();
            await BeatAsync();
            Assert.Null(fence.LastFencing);

            await FreezeAsync(pid);
            await PassShortenedDeadlineAsync(fence);
            Assert.All(all, one => Assert.True(ProcessStat.Read(one) is { IsAlive: true }));
            var woken = After(TimeSpan.Zero);
            RealPostgres.Signal(Signals.Continue, pid);
            return await LateAsync(all, woken);
        });

    [Fact]
    public async Task A_disarmed_fence_never_acts_and_an_extended_one_acts_only_at_the_new_deadline()
    {
        var lease = TimeSpan.FromSeconds(5);
        var (fence, first) = await ArmedFenceAsync(lease);

        // Extended again and again until the first deadline is long past.
        while (TimeProvider.System.GetElapsedTime(first) < TimeSpan.FromSeconds(1))
        {
            await PassAsync(TimeSpan.FromMilliseconds(200));
            Assert.True(fence.ExtendUntil(After(lease)));
        }

        fence.Disarm();
        Assert.False(fence.ExtendUntil(After(TimeSpan.FromMilliseconds(1))));
        await PassAsync(lease + TimeSpan.FromMilliseconds(500));

        await using var session = await _postgres.ConnectAsync();
        Assert.Null(fence.LastFencing);
        Assert.True(fence.IsGuarding);
    }

    [Fact]
    public Task A_shortened_deadline_counts_at_once() => OneOfThreeRunsIsInTimeAsync(async () =>
    {
        var (fence, _) = await ArmedFenceAsync(s_long);
        var all = _postgres.AllPids;
        await BeatAsync();   // from now on it sleeps for a second

        var late = await LateWhenShortenedAsync(fence, all);

        await ReportAsync(fence);
        Assert.False(fence.ExtendUntil(After(s_long)));
        return late;
    });

    [Fact]
    public Task A_killed_fence_is_noticed_and_the_next_one_goes_on_with_the_order() =>
        OneOfThreeRunsIsInTimeAsync(async () =>
    {
        var ended = new TaskCompletionSource();
        var (fence, _) = await ArmedFenceAsync(s_long, () => ended.TrySetResult());
        var first = fence.FencePid!.Value;

        RealPostgres.Signal(Signals.Kill, first);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(5), Cancelled);
        Assert.False(fence.IsGuarding);
        await fence.EnsureRunningAsync(Cancelled);

        Assert.True(await fence.WaitUntilGuardingAsync(TimeSpan.FromSeconds(5), Cancelled));
        Assert.NotEqual(first, fence.FencePid);
        return await LateWhenShortenedAsync(fence, _postgres.AllPids);
    });

    [Fact]
    public async Task A_frozen_fence_is_replaced()
    {
        var (fence, _) = await ArmedFenceAsync(2 * s_long);
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
        var (before, _) = await ArmedFenceAsync(s_long);
        var pid = before.FencePid;
        before.Dispose();
        _clients.Remove(before);

        var after = Client();
        await after.EnsureRunningAsync(Cancelled);

        Assert.Equal(pid, after.FencePid);
        Assert.True(after.IsGuarding);
        Assert.True(after.IsArmed);
        await LateWhenShortenedAsync(after, _postgres.AllPids);
        Assert.Equal(_postgres.Pid, (await ReportAsync(after)).PostmasterPid);
    }

    [Fact]
    public async Task A_deleted_state_file_leads_to_a_new_fence_with_the_same_order_and_the_old_one_leaves()
    {
        var (fence, _) = await ArmedFenceAsync(s_long);
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

    /// <summary>
    /// That the fence can be in time, one run of three shows, each on a fresh server: any thread may be suspended, the
    /// fence's or ours. Everything else that a run asserts holds in every one.
    /// </summary>
    /// <param name="run">Returns how late the fence was.</param>
    private async Task OneOfThreeRunsIsInTimeAsync(Func<Task<TimeSpan>> run)
    {
        var fastest = await run();
        for (var more = 2; more > 0 && fastest > s_bound; more--)
        {
            await DisposeAsync();
            await InitializeAsync();
            var late = await run();
            fastest = late < fastest ? late : fastest;
        }

        Assert.True(fastest <= s_bound, $"The fastest run was {fastest.TotalMilliseconds:0} ms late.");
    }

    private async Task<(FenceClient Fence, long Deadline)> ArmedFenceAsync(TimeSpan lease, Action? onEnded = null)
    {
        var client = Client(onEnded);
        await client.EnsureRunningAsync(Cancelled);
        client.Arm(_postgres.Pid, _postgres.Start, After(s_long));
        Assert.True(await client.WaitUntilGuardingAsync(TimeSpan.FromSeconds(5), Cancelled));
        var deadline = After(lease);
        client.Arm(_postgres.Pid, _postgres.Start, deadline);
        return (client, deadline);
    }

    private static long After(TimeSpan span) =>
        TimeProvider.System.GetTimestamp() + (long)(span.TotalSeconds * TimeProvider.System.TimestampFrequency);

    /// <summary>
    /// Time itself is what these tests are about: a deadline passes, and something happens or does not.
    /// </summary>
    private static Task PassAsync(TimeSpan span) => Task.Delay(span, TimeProvider.System, Cancelled);

    private static async Task PassShortenedDeadlineAsync(FenceClient fence)
    {
        Assert.True(fence.ExtendUntil(After(TimeSpan.FromMilliseconds(100))));
        await PassAsync(TimeSpan.FromMilliseconds(200));
    }

    private static async Task FreezeAsync(params int[] pids)
    {
        RealPostgres.Signal(Signals.Stop, pids);
        await Eventually.TrueAsync(() => pids.All(pid => ProcessStat.Read(pid) is { IsFrozen: true }),
            "they are frozen");
    }

    /// <summary>Waits until the fence has looked at its clock once more.</summary>
    private async Task BeatAsync()
    {
        using var page = FencePage.OpenForFence(Settings.StateFile)!;
        var before = BootInstant.Now;
        await Eventually.TrueAsync(() => page.Heartbeat > before, "the fence beats");
    }

    /// <summary>How much later than the deadline the last process was gone.</summary>
    private static async Task<TimeSpan> LateAsync(IReadOnlyList<int> pids, long deadline)
    {
        await Eventually.TrueAsync(() => pids.All(pid => ProcessStat.Read(pid) is not { IsAlive: true }),
            "PostgreSQL is gone");
        var late = TimeProvider.System.GetElapsedTime(deadline);
        // The order holds whole milliseconds, rounded down.
        Assert.True(late >= TimeSpan.FromMilliseconds(-1),
            $"PostgreSQL was gone {-late.TotalMilliseconds} ms before the deadline.");
        return late;
    }

    /// <summary>Lets a long lease run out soon.</summary>
    private static Task<TimeSpan> LateWhenShortenedAsync(FenceClient fence, IReadOnlyList<int> pids)
    {
        var deadline = After(TimeSpan.FromMilliseconds(100));
        Assert.True(fence.ExtendUntil(deadline));
        return LateAsync(pids, deadline);
    }

    private static async Task<FencingReport> ReportAsync(FenceClient fence)
    {
        await Eventually.TrueAsync(() => fence.LastFencing is not null && !fence.IsArmed, "the fence reports");
        return fence.LastFencing!;
    }
}
