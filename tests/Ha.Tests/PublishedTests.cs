using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>What a member says of itself, moment by moment.</summary>
public sealed class PublishedTests
{
    [Fact]
    public void An_empty_directory() =>
        Says(PostgresState.Stopped, Role.Uninitialized, new LocalPostgres { Data = DataDirectory.Empty });

    [Fact]
    public void A_copy() => Says(PostgresState.CreatingReplica, Role.Uninitialized,
        new LocalPostgres { Data = DataDirectory.Empty }, JobKind.Clone);

    [Fact]
    public void A_bootstrap() => Says(PostgresState.Initdb, Role.Uninitialized,
        new LocalPostgres { Data = DataDirectory.Empty }, JobKind.Bootstrap);

    [Fact]
    public void A_running_primary() =>
        Says(PostgresState.Running, Role.Primary, Every.Server(ServerState.Running, isPrimary: true));

    [Fact]
    public void A_running_standby() =>
        Says(PostgresState.Running, Role.Replica, Every.Server(ServerState.Running, isPrimary: false));

    [Fact]
    public void A_promotion_under_way() =>
        Says(PostgresState.Running, Role.Promoted, Every.Server(ServerState.Running, isPrimary: false),
            JobKind.Promote);

    [Fact]
    public void A_server_that_does_not_answer_keeps_its_words() =>
        Says(PostgresState.Running, Role.Primary, Every.Server(ServerState.Unresponsive, isPrimary: true));

    [Fact]
    public void A_start() => Says(
        PostgresState.Starting, Role.Replica, Every.Server(ServerState.Starting, isPrimary: false),
        JobKind.StartStandby);

    [Fact]
    public void A_stop() =>
        Says(PostgresState.Stopping, Role.Primary, Every.Server(ServerState.Running, isPrimary: true), JobKind.Demote);

    [Fact]
    public void A_stop_that_has_written_the_last_record() => Says(
        PostgresState.Stopping, Role.Demoted, ShutDown(Every.Server(ServerState.Unresponsive, isPrimary: true)),
        JobKind.Demote);

    [Fact]
    public void A_restart() => Says(PostgresState.Restarting, Role.Replica,
        Every.Server(ServerState.Running, isPrimary: false), JobKind.Restart);

    [Fact]
    public void A_crash() => Says(
        PostgresState.Crashed, Role.Replica, Every.Server(ServerState.Stopped, isPrimary: false),
        memory: new LoopMemory { HasRun = true });

    [Fact]
    public void A_server_that_is_down_in_a_pause_is_stopped() =>
        Assert.Equal(PostgresState.Stopped, Published.State(Every.Of(
        Every.Server(ServerState.Stopped, isPrimary: false), "b", default,
        config: Every.Config("""{"pause":true}""")) with
    {
        Memory = new LoopMemory { HasRun = true },
    }));

    [Fact]
    public void A_demoted_primary() => Says(
        PostgresState.Stopped, Role.Demoted,
        Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false },
        memory: new LoopMemory { HasRun = true, Demoted = true });

    [Fact]
    public void A_failed_start() => Says(
        PostgresState.StartFailed, Role.Replica, Every.Server(ServerState.Stopped, isPrimary: false),
        memory: new LoopMemory { FailedStandbyStarts = 1 });

    private static LocalPostgres ShutDown(LocalPostgres local) =>
        local with { Control = local.Control! with { State = ControlState.ShutDown } };

    private static void Says(
        PostgresState state, Role role, LocalPostgres local, JobKind? job = null, LoopMemory? memory = null)
    {
        var o = Every.Of(local, "b", default) with
        {
            Job = job is { } kind ? new JobView(kind, Every.Now, "started") : null,
            Memory = memory ?? LoopMemory.Empty,
        };

        Assert.Equal((state, role), (Published.State(o), Published.Role(o)));
    }
}
