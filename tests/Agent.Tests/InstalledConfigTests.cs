namespace Routing.Agent.Tests;

public sealed class InstalledConfigTests
{
    [Theory]
    [InlineData("/etc/routing/agent.yml", "/etc/routing/agent.yml", "/etc/patroni/config.yml")]
    [InlineData("/etc/patroni/config.yml", "/etc/patroni/patroni.yml", "/etc/patroni/config.yml")]
    [InlineData("/etc/patroni/patroni.yml", "/etc/patroni/patroni.yml")]
    [InlineData(null, "/etc/patroni/dcs.yml")]
    public void The_agent_s_own_file_comes_before_Patroni_s(string? chosen, params string[] there) =>
        Assert.Equal(chosen, InstalledConfig.Find(there.Contains));
}
