using Routing.Cluster;

namespace Routing.Simulation.Tests;

/// <summary>The mix of schedules: a seed picks one.</summary>
internal static partial class Scenario
{
    public static SimOptions Of(int seed) => Of(seed, null);

    /// <param name="seed">Picks the settings, and the faults when none are given.</param>
    /// <param name="mix">The name of a mix of faults; null: any that every change has to withstand.</param>
    public static SimOptions Of(int seed, string? mix)
    {
        var random = new Random(seed * 7919);
        var (ttl, loopWait, retry) = Pick(random, (3, 1, 1), (5, 2, 1), (5, 1, 2), (30, 10, 10), (5, 2, 1));
        var mode = Pick(random, SynchronousMode.Off, SynchronousMode.Priority, SynchronousMode.Quorum);
        var faults = mix is null ? Pick(random, Mixes.All) : Mixes.ByName[mix];
        return new SimOptions
        {
            Nodes = Pick(random, 3, 3, 3, 4, 5),
            Sites = seed % 3 == 0 ? 2 : 0,
            Routers = seed % 4,
            Ttl = ttl,
            LoopWait = loopWait,
            RetryTimeout = retry,
            Mode = mode,
            Strict = mode != SynchronousMode.Off && random.Next(3) == 0,
            SynchronousNodes = mode == SynchronousMode.Off ? 1 : Pick(random, 1, 1, 2),
            Failsafe = random.Next(4) == 0 || Mixes.NeedFailsafe(faults),
            PrimaryStartTimeout = Pick(random, 300, 300, 5, 0),
            MaximumLag = Pick(random, 1_048_576, 1_048_576, 20_000),
            CheckTimeline = random.Next(2) == 0,
            RewindPossible = random.Next(5) > 0,
            MayRemoveDivergedData = true,
            Drift = Pick(random, 0.0002, 0.0002, 0.0002, 0.04, 0.07),
            FromStart = random.Next(5) == 0,
            Together = Pick(random, 0, 0, 0.3),
            Faults = faults,
            Storm = TimeSpan.FromSeconds(ttl > 10 ? 90 : 25),
            MeanPause = TimeSpan.FromSeconds(ttl > 10 ? 12 : 4),
        };
    }

    /// <summary>Schedules that the mix has too seldom, by name.</summary>
    public static IReadOnlyDictionary<string, SimOptions> Rare { get; } = new Dictionary<string, SimOptions>
    {
        [nameof(SilentPromotion)] = SilentPromotion,
        [nameof(UnansweredSync)] = UnansweredSync,
        [nameof(OutsideFailsafe)] = OutsideFailsafe,
        [nameof(ChangingTimes)] = ChangingTimes,
        [nameof(ShortLeaseFailsafe)] = ShortLeaseFailsafe,
    };

    /// <summary>
    /// A server falls silent while it is promoted, and then its agent dies: the fence must not have been sent away.
    /// </summary>
    public static SimOptions SilentPromotion => new()
    {
        Ttl = 3,
        LoopWait = 1,
        Faults = [Fault.Unresponsive, Fault.Unresponsive, Fault.KillAgent, Fault.FreezeAgent, Fault.Switchover],
        Patience = 90,   // promotions that take longer than they may are given up and tried elsewhere
        PromotionTime = world => world.Chance(0.2) ? world.Between(9000, 16000) : world.Between(20, 4000),
        MeanPause = TimeSpan.FromSeconds(1),
    };

    /// <summary>
    /// The answer to a write of the synchronous state does not come, nor does the view that shows it; then the standbys
    /// go.
    /// </summary>
    public static SimOptions UnansweredSync => new()
    {
        Ttl = 5,
        LoopWait = 1,
        Mode = SynchronousMode.Quorum,
        Faults = [Fault.CutFromPeers, Fault.CutFromDcs, Fault.LoseAnswers, Fault.SlowDcs, Fault.CutOff],
        MeanPause = TimeSpan.FromSeconds(0.7),
    };

    /// <summary>Members that the last leader did not know have more WAL than the one that may lead.</summary>
    public static SimOptions OutsideFailsafe => new()
    {
        Failsafe = true,
        Faults = [Fault.KillPostmaster, Fault.SlowStart, Fault.KillAgent, Fault.KillNode, Fault.StopAgent],
        PrimaryStartTimeout = 5,
        MayRemoveDivergedData = true,
        MeanPause = TimeSpan.FromSeconds(2),
    };

    /// <summary>The ttl changes all the time, and failsafe mode is on.</summary>
    public static SimOptions ChangingTimes => new()
    {
        Failsafe = true,
        Faults = [Fault.ChangeTimes, Fault.ChangeTimes, Fault.FreezeAgent, Fault.CutFromDcs, Fault.KillAgent],
        MeanPause = TimeSpan.FromSeconds(2),
        Storm = TimeSpan.FromSeconds(60),
    };

    /// <summary>A lease so short that one request without an answer leaves no time to ask the members.</summary>
    public static SimOptions ShortLeaseFailsafe => new()
    {
        Ttl = 3,
        LoopWait = 1,
        Failsafe = true,
        Drift = 0.07,
        Faults = [Fault.DcsOutage, Fault.DcsOutage, Fault.RestartAgent],
        MeanPause = TimeSpan.FromSeconds(3),
    };

    /// <summary>
    /// Members of ours and members that run Patroni in one cluster: asynchronous, with the times that Patroni allows.
    /// </summary>
    public static SimOptions Mixed(int seed)
    {
        var random = new Random(seed * 7919);
        var (ttl, loopWait, retry) = Pick(random, (20, 4, 5), (30, 10, 10));
        var faults =
            Replay.Mix == nameof(Mixes.Hanging) ? Mixes.Hanging : Pick(random, [.. Mixes.Mixed, Mixes.Hanging]);
        return new SimOptions
        {
            Nodes = Pick(random, 3, 3, 4),
            PatroniNodes = Pick(random, 1, 1, 2),
            Ttl = ttl,
            LoopWait = loopWait,
            RetryTimeout = retry,
            // Patroni forgets with its process what it has consented to.
            Failsafe = random.Next(2) == 0 && !faults.Contains(Fault.KillNode) && !faults.Contains(Fault.StopAgent),
            MaximumLag = Pick(random, 1_048_576, 20_000),
            CheckTimeline = random.Next(2) == 0,
            RewindPossible = random.Next(5) > 0,
            MayRemoveDivergedData = true,
            Faults = faults,
            Storm = TimeSpan.FromSeconds(120),
            MeanPause = TimeSpan.FromSeconds(12),
            Patience = 60,
        };
    }

    /// <summary>Operators take the cluster back in time, while something else goes wrong.</summary>
    public static SimOptions Restores(int seed)
    {
        var random = new Random(seed * 7919);
        var (ttl, loopWait, retry) = Pick(random, (3, 1, 1), (5, 2, 1), (30, 10, 10));
        var mode = Pick(random, SynchronousMode.Off, SynchronousMode.Priority, SynchronousMode.Quorum);
        return new SimOptions
        {
            Ttl = ttl,
            LoopWait = loopWait,
            RetryTimeout = retry,
            Mode = mode,
            Strict = mode != SynchronousMode.Off && random.Next(3) == 0,
            PrimaryStartTimeout = Pick(random, 300, 5),
            CheckTimeline = random.Next(2) == 0,
            RewindPossible = random.Next(3) > 0,
            MayRemoveDivergedData = true,
            Faults = Pick(random, seed % 4 == 1 ? Mixes.RestoresAstray : Mixes.Restores),
            Storm = TimeSpan.FromSeconds(ttl > 10 ? 90 : 40),
            MeanPause = TimeSpan.FromSeconds(ttl > 10 ? 8 : 3),
            Patience = 90,   // a leader that restores holds the key, and nobody leads until it is promoted
        };
    }

    private static T Pick<T>(Random random, params ReadOnlySpan<T> among) => among[random.Next(among.Length)];
}
