using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>Members of an overloaded cluster consent in failsafe mode, and their answers come late.</summary>
public sealed class LateConsentTests
{
    /// <summary>Each question lacks the answer of another member: all have consented, though never at once.</summary>
    [Theory]
    [InlineData(5, 2)]
    [InlineData(30, 10)]
    public void A_leader_stays_when_every_member_consents_to_one_of_its_questions(int ttl, int loopWait)
    {
        for (var seed = 1; seed <= 8; seed++)
        {
            // The schedule forbids the leader to step down.
            var violation = new SimCluster(seed, new SimOptions
            {
                Ttl = ttl,
                LoopWait = loopWait,
                Failsafe = true,
                OneConsentIsLate = true,
                Faults = [Fault.DcsOutage],
                MeanPause = TimeSpan.FromSeconds(ttl),
                Storm = TimeSpan.FromSeconds(4 * ttl),
            }).Run();

            Assert.True(violation is null, $"seed {seed}: {violation}");
        }
    }
}
