using Routing.Agent.Config;
using Routing.Cluster;

namespace Routing.Simulation.Tests;

// Mixes about servers, their data and their guards.
internal static partial class Scenario
{
    /// <summary>These find something that is not mended yet: they run only when they are asked for by name.</summary>
    private static readonly string[] s_open = [nameof(BadDisk)];

    /// <summary>The names of those that every change has to withstand; or of the one that is asked for.</summary>
    public static IEnumerable<string> NamesOfServers =>
        Replay.Mix is { } mix ? OfServers.Keys.Where(name => name == mix) : OfServers.Keys.Except(s_open);

    public static IReadOnlyDictionary<string, SimOptions> OfServers { get; } = new Dictionary<string, SimOptions>
    {
        [nameof(RestartedVoter)] = RestartedVoter,
        [nameof(BrokenWatchdog)] = BrokenWatchdog,
        [nameof(LaggingStandby)] = LaggingStandby,
        [nameof(WithoutFence)] = WithoutFence,
        [nameof(InterruptedWork)] = InterruptedWork,
        [nameof(InterruptedReplacement)] = InterruptedReplacement,
        [nameof(RestoredByHand)] = RestoredByHand,
        [nameof(PreparedConfiguration)] = PreparedConfiguration,
        [nameof(PinnedNames)] = PinnedNames,
        [nameof(DarkSource)] = DarkSource,
        [nameof(BadDisk)] = BadDisk,
        [nameof(ShortLivedFence)] = ShortLivedFence,
        [nameof(WithSlots)] = WithSlots,
    };

    /// <summary>Voters that were restarted know no receive position, and replay behind what they hold.</summary>
    public static SimOptions RestartedVoter => new()
    {
        ReplaysLate = true,
        Mode = SynchronousMode.Quorum,
        Faults = [Fault.DelayReplay, Fault.DelayReplay, Fault.KillPostmaster, Fault.KillNode, Fault.KillNode,
            Fault.SlowStandby, Fault.CutFromPeers],
        MeanPause = TimeSpan.FromSeconds(1.5),
        PrimaryStartTimeout = 0,
        MayRemoveDivergedData = true,
        Patience = 45,   // replay that is delayed on purpose may have to be waited for
    };

    /// <summary>The watchdog is required, and its device is missing, refuses or blocks.</summary>
    public static SimOptions BrokenWatchdog => new()
    {
        Watchdog = WatchdogMode.Required,
        Ttl = 10,
        RetryTimeout = 2,
        MayRemoveDivergedData = true,
        Faults = [Fault.BreakWatchdog, Fault.BlockWatchdog, Fault.Switchover, Fault.KillAgent, Fault.FreezeAgent,
            Fault.CutFromDcs],
        MeanPause = TimeSpan.FromSeconds(2),
    };

    /// <summary>
    /// Standbys lag, and the leader is demoted, restarted or replaced: what was published last counts.
    /// </summary>
    public static SimOptions LaggingStandby => new()
    {
        MaximumLag = 20_000,
        CheckTimeline = true,
        PrimaryStartTimeout = 5,
        MayRemoveDivergedData = true,
        Faults = [Fault.SlowStandby, Fault.SlowStandby, Fault.CutFromPeers, Fault.SlowStart, Fault.CutFromDcs,
            Fault.DelayReplay, Fault.KillPostmaster],
        MeanPause = TimeSpan.FromSeconds(1.5),
    };

    /// <summary>
    /// No fence stands behind the agents, and none of them dies: they stop their primaries in time by themselves.
    /// </summary>
    public static SimOptions WithoutFence => new()
    {
        FenceIsDead = true,
        Ttl = 30,
        LoopWait = 10,
        RetryTimeout = 10,
        MayRemoveDivergedData = true,
        Faults =
        [
            Fault.CutFromDcs, Fault.CutOff, Fault.DcsOutage, Fault.SlowHook, Fault.SlowCheckpoint, Fault.SlowStop,
            Fault.Switchover,
            Fault.StopAgent, Fault.Unresponsive,
        ],
        MeanPause = TimeSpan.FromSeconds(4),
        Storm = TimeSpan.FromSeconds(120),
    };

    /// <summary>Copies, rewinds and promotions take long and are interrupted in the middle.</summary>
    public static SimOptions InterruptedWork => new()
    {
        MayRemoveDivergedData = true,
        PrimaryStartTimeout = 0,
        Faults =
        [
            Fault.Interrupt, Fault.Interrupt, Fault.Interrupt, Fault.SlowCopy, Fault.SlowRecovery, Fault.KillNode,
            Fault.KillPostmaster,
            Fault.CutFromPeers,
        ],
        MeanPause = TimeSpan.FromSeconds(1.5),
        Storm = TimeSpan.FromSeconds(40),
    };

    /// <summary>Copies that replace data by request, and restarts, are interrupted in the middle.</summary>
    public static SimOptions InterruptedReplacement => InterruptedWork with
    {
        Patience = 90,   // a stop takes a minute until it turns immediate
        Faults =
        [
            Fault.ReinitializeServer, Fault.ReinitializeServer, Fault.ReinitializeServer, Fault.RestartServer,
            Fault.Interrupt, Fault.Interrupt, Fault.SlowCopy, Fault.KillNode, Fault.CutFromPeers, Fault.DcsOutage,
            Fault.SlowStop,
        ],
    };

    /// <summary>A person restores a backup where a copy was interrupted.</summary>
    public static SimOptions RestoredByHand => InterruptedWork with
    {
        RewindPossible = false,
        Faults =
        [
            Fault.Interrupt, Fault.Interrupt, Fault.SlowCopy, Fault.KillNode, Fault.KillPostmaster, Fault.RestoreByHand,
            Fault.RestoreByHand,
            Fault.RestoreByHand,
        ],
    };

    /// <summary>The dynamic configuration is there before the first member is.</summary>
    public static SimOptions PreparedConfiguration =>
        new() { ConfigExists = true, Faults = [Fault.KillNode, Fault.LoseAnswers] };

    /// <summary><c>synchronous_standby_names</c> cannot become what is wished.</summary>
    public static SimOptions PinnedNames => new()
    {
        Mode = SynchronousMode.Quorum,
        MayRemoveDivergedData = true,
        Faults = [Fault.PinStandbyNames, Fault.PinStandbyNames, Fault.KillNode, Fault.Switchover],
        MeanPause = TimeSpan.FromSeconds(2),
        Lasting = 25,
        Storm = TimeSpan.FromSeconds(150),
    };

    /// <summary>What a copy or a rewind reads from goes dark, or is a primary no more.</summary>
    public static SimOptions DarkSource => new()
    {
        MayRemoveDivergedData = true,
        PrimaryStartTimeout = 0,
        Faults = [Fault.CutFromPeers, Fault.CutOff, Fault.SlowCopy, Fault.SlowCopy, Fault.KillNode,
            Fault.KillPostmaster],
        MeanPause = TimeSpan.FromSeconds(3),
        Lasting = 30,
        Storm = TimeSpan.FromSeconds(240),
    };

    /// <summary>Disks are full, or lose what they had promised to keep when the power fails.</summary>
    public static SimOptions BadDisk => new()
    {
        MayRemoveDivergedData = true,
        PrimaryStartTimeout = 5,
        Faults = [Fault.FillDisk, Fault.FillDisk, Fault.PowerCut, Fault.PowerCut, Fault.KillPostmaster,
            Fault.CutFromDcs],
        MeanPause = TimeSpan.FromSeconds(2),
    };

    /// <summary>WAL is kept for members that are away, and a consumer reads from a permanent logical slot.</summary>
    public static SimOptions WithSlots => new()
    {
        HasSlots = true,
        Nodes = 4,
        Mode = SynchronousMode.Priority,
        MayRemoveDivergedData = true,
        Faults = [Fault.KillNode, Fault.KillNode, Fault.SlowStandby, Fault.CutFromPeers, Fault.KillPostmaster,
            Fault.Switchover, Fault.KillAgent, Fault.DcsOutage, Fault.Interrupt],
        MeanPause = TimeSpan.FromSeconds(3),
        Storm = TimeSpan.FromSeconds(60),
    };

    /// <summary>Fences end, or act late; the agents that were to start them anew are frozen or cut off later.</summary>
    public static SimOptions ShortLivedFence => new()
    {
        MayRemoveDivergedData = true,
        Faults = [Fault.KillFence, Fault.LateFence, Fault.LateFence, Fault.CutFromDcs, Fault.DcsOutage,
            Fault.Switchover],
        MeanPause = TimeSpan.FromSeconds(1),
    };
}
