using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cli.Rest;
using Routing.Cluster;
using Routing.Cluster.Text;

namespace Routing.Cli.Members;

/// <summary>A server of the remote cluster, as a member of this one sees it.</summary>
/// <param name="Address">Where it was asked.</param>
/// <param name="Problem">Why it did not answer; null: it did.</param>
/// <param name="SystemId">The server's system identifier.</param>
/// <param name="IsInRecovery">Whether the server is a standby.</param>
/// <param name="Timeline">Its timeline.</param>
/// <param name="Position">How far its WAL goes.</param>
internal sealed record RemoteServer(
    HostPort Address, string? Problem, string? SystemId, bool IsInRecovery, uint Timeline, Lsn Position);

/// <summary>What a member answered to <c>POST /remote</c>: itself, and the servers of the remote cluster.</summary>
/// <param name="SystemId">The member's own system identifier.</param>
/// <param name="Timeline">Its timeline.</param>
/// <param name="Position">How far its WAL goes.</param>
/// <param name="Servers">The remote servers that were asked.</param>
internal sealed record RemoteAnswer(string SystemId, uint Timeline, Lsn Position, IReadOnlyList<RemoteServer> Servers)
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(30);

    /// <summary>The servers that have answered.</summary>
    public IEnumerable<RemoteServer> Reachable => Servers.Where(server => server.Problem is null);

    /// <summary>The remote primary, of the same database; null: none was found.</summary>
    public RemoteServer? Primary => Reachable.FirstOrDefault(server => !server.IsInRecovery && IsSame(server));

    /// <summary>Whether the server has the same database.</summary>
    public bool IsSame(RemoteServer server) => server.SystemId == SystemId;

    /// <summary>Asks a member.</summary>
    /// <param name="session">Its REST interface.</param>
    /// <param name="member">The member.</param>
    /// <param name="remote">The remote cluster; null: the one that is configured.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="CtlException">It gave no answer that can be used.</exception>
    public static async Task<RemoteAnswer> AskAsync(
        Session session, Member member, JsonObject? remote, CancellationToken cancellationToken)
    {
        ApiAnswer answer;
        try
        {
            answer = await session.Api.SendAsync(
                member, HttpMethod.Post, "/remote", (remote ?? []).ToJsonString(), s_timeout, cancellationToken);
        }
        catch (NoAnswerException e)
        {
            throw new CtlException($"{member.Name} could not be asked about the remote cluster: {e.Message}");
        }
        if (!answer.IsSuccess || !JsonText.TryParse(answer.Text, out var json, out _)
            || json.ValueKind != JsonValueKind.Object)
        {
            throw new CtlException(
                $"{member.Name} could not tell about the remote cluster: status code={(int)answer.Status}",
                "It has to run an agent of Routing that knows standby clusters.");
        }
        return new RemoteAnswer(Text(json, "system_id"), Number(json, "timeline"), Place(json),
            [.. json.GetProperty("remote").EnumerateArray().Select(server => new RemoteServer(
                new HostPort(Text(server, "host"), (int)Number(server, "port")),
                server.TryGetProperty("problem", out var problem) ? problem.GetString() : null,
                Text(server, "system_id"), Text(server, "in_recovery") == "True", Number(server, "timeline"),
                Place(server)))]);
    }

    private static string Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) ? value.ToString() : "";

    private static uint Number(JsonElement json, string name) =>
        uint.TryParse(Text(json, name), out var number) ? number : 0;

    private static Lsn Place(JsonElement json) => Lsn.TryParse(Text(json, "position"), out var lsn) ? lsn : Lsn.Zero;
}
