using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Postgres.Files;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Health;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>The look at the disk: real directories, and one that hangs.</summary>
public sealed class DiskProbeTests
{
    private static readonly HealthConfig s_config = HealthConfig.Default;
    private readonly FakeTimeProvider _time = new() { AutoAdvanceAmount = TimeSpan.FromTicks(1) };

    [Fact]
    public async Task A_disk_that_takes_writes_is_well_and_nothing_is_left_on_it()
    {
        using var directory = Data();

        var health = await LookAsync(new DiskProbe(_time), directory.Path, s_config);

        Assert.Equal(HealthProblem.None, health.Problem);
        Assert.Empty(Directory.EnumerateFiles(directory.Path, DiskProbe.FileName, SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Too_little_free_space_is_a_full_disk()
    {
        using var directory = Data();

        var health =
            await LookAsync(new DiskProbe(_time), directory.Path, s_config with { MinimumFreeBytes = long.MaxValue });

        Assert.Equal(HealthProblem.DiskFull, health.Problem);
        Assert.Contains("bytes left", health.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disk_on_which_a_write_finds_no_space_is_full()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "there is no /dev/full");
        using var directory = Data();
        File.CreateSymbolicLink(Path.Combine(directory.Path, DiskProbe.FileName), "/dev/full");

        var health = await LookAsync(new DiskProbe(_time), directory.Path, s_config);

        Assert.Equal(HealthProblem.DiskFull, health.Problem);
    }

    [Fact]
    public async Task A_directory_that_takes_no_files_counts_as_read_only()
    {
        Assert.SkipWhen(Environment.IsPrivilegedProcess, "nothing is forbidden to root");
        using var directory = Data();
        var wal = Path.Combine(directory.Path, "pg_wal");
        File.SetUnixFileMode(wal, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        try
        {
            var health = await LookAsync(new DiskProbe(_time), directory.Path, s_config);

            Assert.Equal(HealthProblem.DiskReadOnly, health.Problem);
            Assert.Contains("pg_wal", health.Detail, StringComparison.Ordinal);
        }
        finally
        {
            File.SetUnixFileMode(wal, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Fact]
    public async Task A_write_that_hangs_holds_nobody_up_and_counts_only_after_a_while()
    {
        using var stuck = new ManualResetEventSlim();
        var looks = 0;
        var probe = new DiskProbe(_time, (_, _) =>
        {
            Interlocked.Increment(ref looks);
            stuck.Wait();
            return DiskHealth.Good;
        });

        probe.Look("/data", s_config);
        await WaitUntil.TrueAsync(() => Volatile.Read(ref looks) == 1);
        _time.Advance(HealthRules.Silence - TimeSpan.FromSeconds(1));
        var slow = probe.Look("/data", s_config);
        _time.Advance(TimeSpan.FromSeconds(2));
        var hangs = probe.Look("/data", s_config);
        var running = Volatile.Read(ref looks);
        stuck.Set();
        await WaitUntil.TrueAsync(() => probe.Look("/data", s_config).Problem == HealthProblem.None);

        Assert.Equal((HealthProblem.None, HealthProblem.DiskHangs, 1), (slow.Problem, hangs.Problem, running));
    }

    [Fact]
    public void With_an_interval_of_zero_nothing_is_looked_at()
    {
        var probe = new DiskProbe(_time, (_, _) => throw new InvalidOperationException("it was looked at"));

        Assert.Equal(DiskHealth.Good, probe.Look("/data", s_config with { Interval = TimeSpan.Zero }));
    }

    private static TempDirectory Data()
    {
        var directory = new TempDirectory("probe");
        Directory.CreateDirectory(Path.Combine(directory.Path, "pg_wal"));
        return directory;
    }

    /// <summary>The result of the first look: the probe tells of it at the next call.</summary>
    private static async Task<DiskHealth> LookAsync(DiskProbe probe, string directory, HealthConfig config)
    {
        var last = probe.Look(directory, config);
        await WaitUntil.TrueAsync(
            () => (last = probe.Look(directory, config)).Problem != HealthProblem.None || probe.Looks > 0);
        return last;
    }
}
