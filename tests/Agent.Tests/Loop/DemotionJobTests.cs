using System.Text.Json;
using Routing.Agent.Loop;
using Routing.Cluster.Keys;

namespace Routing.Agent.Tests.Loop;

/// <summary>How a primary is stopped.</summary>
public sealed class DemotionJobTests
{
    [Theory]
    [InlineData("""{"synchronous_mode": true, "primary_stop_timeout": 9}""", 9)]
    [InlineData("""{"synchronous_mode": "quorum", "primary_stop_timeout": 9}""", 9)]
    [InlineData("""{"synchronous_mode": true, "master_stop_timeout": 9}""", 9)]
    [InlineData("""{"synchronous_mode": true, "primary_stop_timeout": 0}""", null)]
    [InlineData("""{"synchronous_mode": true}""", null)]
    [InlineData("""{"primary_stop_timeout": 9}""", null)]
    public void A_stop_turns_immediate_after_primary_stop_timeout_where_that_loses_nothing(string config, int? seconds)
    {
        var limit = DemotionJob.StopLimit(DynamicConfigReader.Read(JsonElement.Parse(config), 1));

        Assert.Equal(seconds, (int?)limit?.TotalSeconds);
    }
}
