using System.Reflection;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent.Loop;
using Routing.Agent.Postgres;
using Routing.Ha;

namespace Routing.Agent.Tests.Loop;

/// <summary>What a run of the loop does for the server's settings when its lease leaves no more time.</summary>
public sealed class ConfigApplierTests
{
    [Fact]
    public async Task A_replay_that_cannot_be_resumed_in_time_is_left_to_the_next_run()
    {
        using var jobs = new JobSlot(() => TimeSpan.Zero, () => { }, NullLogger<JobSlot>.Instance);
        var postgres = DispatchProxy.Create<IPostgres, SilentServer>();
        var applier = new ConfigApplier(
            postgres, jobs, new LoopClock(TimeProvider.System), NullLogger<ConfigApplier>.Instance);
        using var lease = new CancellationTokenSource();
        await lease.CancelAsync();

        // An exception from here ends the agent.
        await applier.TendAsync(
            new Observation
            {
                Self = "a",
                Local = new LocalPostgres { Server = ServerState.Running, ReplayPaused = true },
            },
            lease.Token);

        Assert.Equal(["LeadStandbyCluster", "ApplyConfigurationAsync", "ResumeReplayAsync"],
            ((SilentServer)(object)postgres).Asked);
    }

    /// <summary>A server that answers nothing until the caller gives up.</summary>
    internal class SilentServer : DispatchProxy
    {
        public List<string> Asked { get; } = [];

        protected override object? Invoke(MethodInfo? method, object?[]? arguments)
        {
            Asked.Add(method!.Name);
            return method.ReturnType == typeof(Task<StepResult>)
                ? Task.FromCanceled<StepResult>((CancellationToken)arguments![^1]!)
                : null;
        }
    }
}
