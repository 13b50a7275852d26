using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent.Config;
using Routing.Agent.Loop;
using Routing.Agent.Watchdog;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>The agent's own guard on a simulated fence and device; its planted bugs change what it is told.</summary>
internal sealed class SimGuard : IPrimaryGuard
{
    private readonly PrimaryGuard _guard;
    private readonly SimNode _node;
    private readonly SimOptions _options;
    private readonly TimeProvider _time;
    private readonly Func<Timing> _timing;
    private long _deadline;

    public SimGuard(
        SimNode node, SimWorld world, SimProcess process, SimOptions options, Func<Timing> timing, TimeProvider time)
    {
        (_node, _options, _time, _timing) = (node, options, time, timing);
        var settings = new WatchdogSettings { Mode = options.Watchdog, SafetyMargin = null };
        var watchdog = new DeviceWatchdog(
            settings, _ => node.Watchdog.Open(process), time, problem => world.Note(node.Name, problem));
        _guard = new PrimaryGuard(
            new SimFenceClient(world, node.Fence, time), watchdog, timing, time, NullLogger<PrimaryGuard>.Instance)
        {
            StartOf = pid => (ulong)pid,
        };
    }

    public string? WatchdogProblem => _options.IgnoresWatchdog ? null : _guard.WatchdogProblem;

    public TimeSpan ReserveOf(TimeSpan ttl) => _guard.ReserveOf(ttl);

    public bool Prepare(Timing timing) => _guard.Prepare(timing) || _options.IgnoresWatchdog;

    public int ArmedPid => _guard.ArmedPid;

    public bool IsFenced => _guard.IsFenced;

    public void Arm(int postmasterPid) => _guard.Arm(postmasterPid);

    public void Adopt(Conviction conviction)
    {
        var deadline = _options.CountsFromTheAnswer
            ? _time.GetTimestamp() + conviction.Ttl.Ticks - (Observation.SafetyMarginOf(conviction.Ttl).Ticks / 2)
            : conviction.Deadline;
        _deadline = _options.KeepsLongerDeadlines ? Math.Max(_deadline, deadline) : deadline;
        _guard.Adopt(conviction with { Deadline = _deadline });
    }

    public void BringForward(long deadline) => _guard.BringForward(deadline);

    public void Disarm() => _guard.Disarm();

    /// <summary>One look after the fence and the watchdog, before anything else.</summary>
    public Task BeginAsync() => _guard.TendAsync(CancellationToken.None);

    public async Task RunAsync()
    {
        while (true)
        {
            if (_node.GuardBreaks is { } mistake)
            {
                throw mistake;
            }
            await _guard.TendAsync(CancellationToken.None);
            await Task.Delay(WatchPace.UntilNext(WatchPace.For(_timing().Ttl), _time), _time);
        }
    }
}
