using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cli.Rest;
using Routing.Cluster;

namespace Routing.Cli.Commands;

/// <summary><c>version</c>: of this program, and of the members of a cluster.</summary>
internal static class VersionCommand
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(10);

    public static Command Create(CommandHost host)
    {
        // Without a name the configuration's scope is not taken: a bare "version" needs no DCS.
        var name = CommonOptions.ClusterName("Name of the cluster whose members are asked");
        var members = CommonOptions.MemberNames();
        var group = CommonOptions.Group();
        var command = new Command("version", "Show the version of routingctl, and of a cluster's members") { name,
            members, group };
        return host.Add(command, (session, parsed, cancellationToken) =>
            RunAsync(session, parsed.GetValue(name), parsed.GetValue(members) ?? [], parsed.GetValue(group),
                cancellationToken));
    }

    private static async Task<int> RunAsync(
        Session session, string? name, string[] members, int? groupOption, CancellationToken cancellationToken)
    {
        session.Screen.WriteLine($"routingctl version {RoutingVersion.Own}");
        if (name is null)
        {
            return ExitCode.Success;
        }
        session.Screen.WriteLine("");
        var group = groupOption ?? session.OnlyGroup();
        await using var store = session.Open(name, group);
        var snapshot = await store.ReadAsync(cancellationToken);
        var asked = snapshot.Members.Values.Where(
            member => member.ApiUrl is not null && (members.Length == 0 || members.Contains(member.Name)));
        // All members at once: those that are down cost one time-out together.
        var lines = await Task.WhenAll(asked.Select(member => DescribeAsync(session, member, cancellationToken)));
        foreach (var line in lines)
        {
            session.Screen.WriteLine(line);
        }
        session.HintIfUnknown(snapshot, name, group);
        return ExitCode.Success;
    }

    private static async Task<string> DescribeAsync(Session session, Member member, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await session.Api.SendAsync(
                member, HttpMethod.Get, path: null, jsonBody: null, s_timeout, cancellationToken);
            if (JsonNode.Parse(answer.Text) is not JsonObject status || status["patroni"] is not JsonObject { } patroni
                || patroni["version"] is not { } version)
            {
                throw new JsonException($"the answer (status {(int)answer.Status}) names no version");
            }
            var server = status["server_version"] is JsonValue value && value.TryGetValue<int>(out var number)
                ? $" PostgreSQL {ServerVersion(number)}"
                : "";
            return $"{member.Name}: Patroni "
                + $"{version}{server}{(member.Routing is { } routing ? $" (Routing {routing.Version})" : "")}";
        }
        catch (Exception e) when (e is NoAnswerException or JsonException)
        {
            return $"{member.Name}: failed to get version: {e.Message}";
        }
    }

    /// <summary>150006 is 15.6; 90603 is 9.6.3.</summary>
    private static string ServerVersion(int number) => number >= 100_000
        ? string.Create(CultureInfo.InvariantCulture, $"{number / 10000}.{number % 10000}")
        : string.Create(CultureInfo.InvariantCulture, $"{number / 10000}.{number / 100 % 100}.{number % 100}");
}
