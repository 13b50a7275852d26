using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Routing.Cli.Members;
using Routing.Cli.Rest;
using Routing.Cluster;

namespace Routing.Cli.Checks;

/// <summary>What the members' REST API tells.</summary>
internal sealed partial class MemberChecks(Session session, ClusterSnapshot snapshot)
{
    private static readonly TimeSpan s_clockTolerance = TimeSpan.FromSeconds(2);

    /// <summary>Asks every member at the same time.</summary>
    public async Task<IEnumerable<Finding>> RunAsync(CancellationToken cancellationToken) =>
        (await Task.WhenAll(snapshot.Members.Values.Select(member => AskAsync(member, cancellationToken)))).SelectMany(
            findings => findings);

    private async Task<List<Finding>> AskAsync(Member member, CancellationToken cancellationToken)
    {
        try
        {
            var asked = session.Time.GetUtcNow();
            var status = await MemberStatus.AskAsync(session.Api, member, cancellationToken);
            var metrics = await session.Api.SendAsync(
                member, HttpMethod.Get, "/metrics", jsonBody: null, MemberCalls.QuickTimeout, cancellationToken);
            return
            [
                .. Role(member, status),
                .. Watchdog(member, status),
                .. Clock(member, status, asked, session.Time.GetUtcNow()),
                .. Health(member, metrics.Text),
            ];
        }
        catch (NoAnswerException e)
        {
            return [Finding.Error(member.Name, $"has a REST API that gives no answer: {e.Message}")];
        }
    }

    private IEnumerable<Finding> Role(Member member, MemberStatus status)
    {
        var isLeader = snapshot.Leader?.Holder == member.Name;
        if (!isLeader && status is { Role: "primary", State: "running" })
        {
            yield return Finding.Error(member.Name, "runs a primary and is not the leader");
        }
        else if (isLeader && status is { State: "running", Role: not ("primary" or "standby_leader") })
        {
            yield return Finding.Error(member.Name, $"leads, and its PostgreSQL is a {status.Role}");
        }
    }

    private static IEnumerable<Finding> Watchdog(Member member, MemberStatus status)
    {
        if (status.Document["watchdog_failed"] is JsonValue failed && failed.TryGetValue<bool>(out var isSo) && isSo)
        {
            yield return Finding.Error(member.Name, "requires a watchdog, and it is not usable: it can't lead");
        }
        if (status.Document["logger_records_lost"] is JsonValue lost)
        {
            yield return Finding.Warning(member.Name, $"has lost {lost.ToJsonString()} log lines");
        }
    }

    /// <summary>
    /// The member says, by its own clock, when etcd answered last: in the future of ours, or long ago, is a hint at its
    /// clock.
    /// </summary>
    private IEnumerable<Finding> Clock(
        Member member, MemberStatus status, DateTimeOffset asked, DateTimeOffset answered)
    {
        if (status.Document["dcs_last_seen"] is not JsonValue value || !value.TryGetValue<long>(out var seconds)
            || seconds <= 0)
        {
            yield break;
        }
        var seen = DateTimeOffset.FromUnixTimeSeconds(seconds);
        if (seen - answered > s_clockTolerance)
        {
            yield return Finding.Warning(member.Name, string.Create(
                CultureInfo.InvariantCulture,
                $"has a clock that is {(seen - answered).TotalSeconds:0} s ahead of this machine's"));
        }
        else if (asked - seen > snapshot.LeaseTtl)
        {
            yield return Finding.Error(member.Name, string.Create(
                CultureInfo.InvariantCulture,
                $"last saw etcd {(asked - seen).TotalSeconds:0} s ago, or its clock is behind this machine's"));
        }
    }

    private static IEnumerable<Finding> Health(Member member, string metrics) =>
        from Match match in Unhealthy().Matches(metrics)
        select Finding.Error(member.Name, $"has a PostgreSQL that is unwell: {match.Groups[1].Value}");

    [GeneratedRegex("""^routing_postgres_unhealthy\{[^}]*problem="([^"]*)"[^}]*\} 1\s*$""",
        RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Unhealthy();
}
