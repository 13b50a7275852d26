using System.CommandLine;
using Routing.Cluster;

namespace Routing.Cli.Members;

/// <summary>One member by its role or by its name, as <c>dsn</c> and <c>query</c> look for it.</summary>
/// <param name="Role">A word of <see cref="RoleFilter"/>; null where a member is named.</param>
/// <param name="Name">The member's name; null for the role.</param>
internal sealed record MemberQuery(string? Role, string? Name)
{
    /// <summary>Reads the two options, of which at most one may be there.</summary>
    /// <exception cref="CtlException">Both are there.</exception>
    public static MemberQuery From(ParseResult parsed, Option<string> role, Option<string?> member, string defaultRole)
    {
        var name = parsed.GetValue(member);
        var givenRole = parsed.GetResult(role) is { Implicit: false } ? parsed.GetValue(role) : null;
        return (name, givenRole) switch
        {
            ({ }, { }) => throw new CtlException("--role and --member are mutually exclusive options"),
            ({ }, null) => new MemberQuery(null, name),
            _ => new MemberQuery(givenRole ?? defaultRole, null),
        };
    }

    /// <summary>The members that fit, by name.</summary>
    public IEnumerable<Member> In(ClusterSnapshot snapshot) => Name is { } name
        ? snapshot.Members.TryGetValue(name, out var member) ? [member] : []
        : RoleFilter.Of(snapshot, Role ?? RoleFilter.Any);
}
