using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Agent.Loop;

/// <summary>The dynamic configuration that this member goes by, and the times that follow from it.</summary>
internal sealed partial class ConfigInForce
{
    private readonly string _self;
    private readonly IPrimaryGuard _guard;
    private readonly LeaseKeeper _keeper;
    private readonly LoopPulse _pulse;
    private readonly ILogger _logger;
    private int _life;

    /// <summary>Begins with a configuration that no key tells yet.</summary>
    public ConfigInForce(
        DynamicConfig initial, string self, IPrimaryGuard guard, LeaseKeeper keeper, LoopPulse pulse,
        ILogger<ConfigInForce> logger)
    {
        (_self, _guard, _keeper, _pulse, _logger) = (self, guard, keeper, pulse, logger);
        Config = initial;
        Timing = initial.Timing.Corrected(Timing.CommonMinimum);
        pulse.Adopt(Timing);
    }

    /// <summary>The last valid configuration.</summary>
    public DynamicConfig Config { get; private set; }

    /// <summary>The times of <see cref="Config"/>, corrected as every member corrects them.</summary>
    public Timing Timing { get; private set; }

    /// <summary>Adopts what a snapshot tells: the configuration, and whether all members allow short times.</summary>
    public void Adopt(ClusterSnapshot snapshot)
    {
        if (snapshot.Config is { } config
            && (config.ModRevision != Config.ModRevision || snapshot.Life.Number != _life))
        {
            (Config, _life) = (config.After(Config), snapshot.Life.Number);
            foreach (var problem in Config.Problems)
            {
                LogConfigProblem(problem);
            }
        }
        var allFenced = _guard.IsFenced
            && snapshot.Members.Values.All(m => m.Name == _self || m.Routing is { Fence: true });
        var timing = Config.Timing.Corrected(allFenced ? Timing.FencedMinimum : Timing.CommonMinimum);
        if (timing != Timing)
        {
            Timing = timing;
            LogTiming(timing.Ttl.TotalSeconds, timing.LoopWait.TotalSeconds, timing.RetryTimeout.TotalSeconds);
            _pulse.Adopt(timing);
            _keeper.Adopt(timing);
        }
    }

    [LoggerMessage(EventId = 1003, Level = LogLevel.Warning, Message = "Dynamic configuration: {Problem}")]
    private partial void LogConfigProblem(string problem);

    [LoggerMessage(EventId = 1004, Level = LogLevel.Information,
        Message = "Times in force: ttl {Ttl} s, loop_wait {LoopWait} s, retry_timeout {RetryTimeout} s")]
    private partial void LogTiming(double ttl, double loopWait, double retryTimeout);
}
