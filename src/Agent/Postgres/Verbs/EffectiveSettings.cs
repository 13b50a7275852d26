using Routing.Agent.Config;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>The settings in force for one role, and what they were made from.</summary>
/// <param name="Role">The role that they hold for.</param>
/// <param name="Version">The version of the server program, as in <c>server_version_num</c>.</param>
/// <param name="Local">The local configuration.</param>
/// <param name="Dynamic">The dynamic configuration.</param>
/// <param name="Config">Both together, without what the server program refuses.</param>
/// <param name="HasData">There were data when the server program was asked.</param>
/// <param name="NeedsFeedback">See <see cref="ServerSettings.NeedsFeedback"/>.</param>
internal sealed record EffectiveSettings(
    Role Role, int Version, AgentSettings Local, DynamicConfig Dynamic, PostgresConfig Config, bool HasData,
    bool? NeedsFeedback)
{
    public int Major => Version / 10000;
}
