using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent.Loop;
using Routing.Ha;

namespace Routing.Agent.Tests.Loop;

/// <summary>The one long job beside the loop.</summary>
public sealed class JobSlotTests
{
    /// <summary>
    /// The end comes at any moment of a look. A look that found neither would let the loop begin the next job, which
    /// forgets how the last one ended.
    /// </summary>
    [Fact]
    public async Task At_each_look_a_job_runs_or_has_ended()
    {
        using var slot = new JobSlot(static () => TimeSpan.Zero, static () => { }, NullLogger<JobSlot>.Instance);
        for (var round = 0; round < 500; round++)
        {
            var isLookedAt = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Assert.True(slot.TryStart(JobKind.Follow, null, async (_, _) =>
            {
                await isLookedAt.Task;
                return (JobResult.Done, "");
            }));

            var (running, ended) = slot.Take();
            isLookedAt.SetResult();
            while (ended is null)
            {
                Assert.NotNull(running);
                (running, ended) = slot.Take();
            }
            await slot.Completion;

            Assert.Equal((JobKind.Follow, JobResult.Done), (ended.Kind, ended.Result));
        }
    }
}
