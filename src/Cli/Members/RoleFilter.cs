using Routing.Cluster;

namespace Routing.Cli.Members;

/// <summary>The words of <c>--role</c>: which members are meant, by what the DCS says.</summary>
internal static class RoleFilter
{
    public const string Any = "any";
    public const string Leader = "leader";
    public const string Replica = "replica";

    private const string Primary = "primary";
    private const string StandbyLeader = "standby-leader";
    private const string Standby = "standby";

    /// <summary>Every word.</summary>
    public static readonly string[] Names = [Leader, Primary, StandbyLeader, Replica, Standby, Any];

    /// <summary>
    /// The members in this role, by name. The leader is the one that holds the key, whatever its PostgreSQL does.
    /// </summary>
    public static IEnumerable<Member> Of(ClusterSnapshot snapshot, string role)
    {
        var leader = snapshot.LeaderMember;
        return role switch
        {
            Leader => Only(leader),
            Primary => Only(leader is { Role: not Role.StandbyLeader } ? leader : null),
            StandbyLeader => Only(leader is { Role: not Role.Primary } ? leader : null),
            Replica or Standby => snapshot.Members.Values.Where(member => member.Name != snapshot.Leader?.Holder),
            _ => snapshot.Members.Values,
        };
    }

    /// <summary>Whether the server of a member in this role replays WAL.</summary>
    public static bool IsInRecovery(string role) => role is Replica or Standby or StandbyLeader;

    private static IEnumerable<Member> Only(Member? member) => member is null ? [] : [member];
}
