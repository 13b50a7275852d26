using System.CommandLine;
using System.Globalization;
using Routing.Cli.Members;

namespace Routing.Cli.Commands;

/// <summary><c>dsn</c>: how to reach a member's PostgreSQL.</summary>
internal static class DsnCommand
{
    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var role = CommonOptions.Role(RoleFilter.Leader);
        var member = CommonOptions.OneMember();
        var group = CommonOptions.Group();
        var command = new Command("dsn", "Print host and port of a member, by default of the leader") { name, role,
            member, group };
        return host.Add(command, (session, parsed, cancellationToken) => RunAsync(
            session,
            session.ClusterName(parsed.GetValue(name)),
            parsed.GetValue(group) ?? session.OnlyGroup(),
            MemberQuery.From(parsed, role, member, RoleFilter.Leader),
            cancellationToken));
    }

    private static async Task<int> RunAsync(
        Session session, string name, int? group, MemberQuery query, CancellationToken cancellationToken)
    {
        await using var store = session.Open(name, group);
        var snapshot = await store.ReadAsync(cancellationToken);
        session.HintIfUnknown(snapshot, name, group);
        var address = query.In(snapshot).FirstOrDefault(found => found.Address is not null)?.Address
            ?? throw new CtlException("Can not find a suitable member");
        session.Screen.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"host={address.Host} port={address.Port}"));
        return ExitCode.Success;
    }
}
