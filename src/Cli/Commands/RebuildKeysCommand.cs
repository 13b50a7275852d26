using System.CommandLine;
using Routing.Cli.Members;
using Routing.Cli.Rest;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary>
/// <c>rebuild-keys</c>: an etcd that was lost for good is a new and empty one; what the members know of their cluster
/// is written there, after questions. Never the leader key: the members decide which of them leads.
/// </summary>
internal sealed class RebuildKeysCommand(Session session, string cluster, int? group)
{
    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.RequiredClusterName();
        var group = CommonOptions.Group();
        var members = new Option<string[]>("--member", "-m")
        {
            Description = "REST API of a member, such as http://10.0.0.11:8008; once for each. Default: by its key",
            HelpName = "URL",
        };
        var dryRun = CommonOptions.DryRun();
        var force = CommonOptions.Force();
        var command = new Command(
            "rebuild-keys", "Write the keys of a cluster into a new and empty DCS, by what its members know")
        {
            name, members, group, dryRun, force,
        };
        return host.Add(command, (session, parsed, cancellationToken) =>
            new RebuildKeysCommand(session, parsed.GetValue(name)!, parsed.GetValue(group)).RunAsync(
                parsed.GetValue(members) ?? [], parsed.GetValue(dryRun), parsed.GetValue(force), cancellationToken));
    }

    private async Task<int> RunAsync(string[] urls, bool dryRun, bool force, CancellationToken cancellationToken)
    {
        await using var store = session.Open(cluster, group);
        var snapshot = await store.ReadAsync(cancellationToken);
        if (snapshot.Leader is { } leader)
        {
            throw new CtlException($"{leader.Holder} leads {cluster}: it writes the keys that are missing by itself");
        }
        if (!snapshot.Initialize.IsMissing)
        {
            throw new CtlException(
                $"The DCS knows {cluster} already: nothing is rebuilt over the key initialize",
                "If these keys are of another cluster, see routingctl remove.");
        }
        var witnesses = await Witness.AskAllAsync(session, cluster, MembersOf(snapshot, urls), cancellationToken);
        var (best, config) = await ConfigAsync(witnesses, cancellationToken);
        Show(witnesses, best, snapshot.Config is null ? config : null);
        if (dryRun)
        {
            session.Screen.WriteLine("Nothing was written: this was a dry run.");
            return ExitCode.Success;
        }
        if (!force && !await session.Prompts.ConfirmAsync(
            $"Is every other member of {cluster} down, and does none of them use another etcd?", cancellationToken))
        {
            throw new CtlException("Nothing was written: a member elsewhere may lead");
        }
        // First the configuration: with the key initialize the members begin to look for a leader.
        if (snapshot.Config is null)
        {
            await WriteAsync(store, ClusterKeys.Config, config, cancellationToken);
        }
        await WriteAsync(store, ClusterKeys.Initialize, best.SystemId, cancellationToken);
        session.Screen.WriteLine($"The keys of {cluster} are written. See routingctl list {cluster}: its members look "
            + "for a leader now, which writes the rest.");
        return ExitCode.Success;
    }

    private static Member[] MembersOf(ClusterSnapshot snapshot, string[] urls)
    {
        Member[] members = urls.Length > 0
            ? [.. urls.Select(url => new Member { Name = url, ApiUrl = $"{url.TrimEnd('/')}/patroni" })]
            : [.. snapshot.Members.Values.Where(member => member.ApiUrl is not null)];
        return members.Length > 0
            ? members
            : throw new CtlException(
                "The DCS names no member", "Name each by --member, such as http://10.0.0.11:8008.");
    }

    /// <summary>The member that has the most, and the configuration that it, or else another one, goes by.</summary>
    private async Task<(Witness Best, string Config)> ConfigAsync(
        Witness[] witnesses, CancellationToken cancellationToken)
    {
        foreach (var witness in witnesses)
        {
            try
            {
                var answer = await session.Api.SendAsync(
                    witness.Member, HttpMethod.Get, "/config?last", jsonBody: null, MemberCalls.QuickTimeout,
                    cancellationToken);
                if (answer.IsSuccess)
                {
                    return (witnesses[0], answer.Text);
                }
            }
            catch (NoAnswerException problem)
            {
                session.LogNoAnswer(problem.Message);
            }
        }
        throw new CtlException("No member tells the dynamic configuration that it goes by");
    }

    private void Show(Witness[] witnesses, Witness best, string? config)
    {
        session.Screen.WriteLine($"The members of {cluster}, the one that has the most first:");
        foreach (var one in witnesses)
        {
            session.Screen.WriteLine(
                $"  {one.Name}: {one.Role}, {one.State}, timeline {one.Timeline}, WAL to {one.Position}");
        }
        session.Screen.WriteLine($"These keys are written to {session.Settings.BasePath(cluster, group)}/:");
        session.Screen.WriteLine($"  initialize: {best.SystemId}");
        session.Screen.WriteLine(config is null ? "  (config is there, and stays)" : $"  config: {config}");
        session.Screen.WriteLine("The leader writes the others: leader, history, status, sync, members.");
        if (witnesses.All(one => !one.IsPrimary))
        {
            session.Screen.WriteLine("None of them is a primary: what only the lost one had is lost.");
        }
    }

    private static async Task WriteAsync(
        IClusterStore store, string key, string value, CancellationToken cancellationToken)
    {
        var written = await store.PutAsync(key, value, WriteCondition.Absent, 0, cancellationToken);
        if (written.Status != WriteStatus.Done)
        {
            throw new CtlException(
                $"The key {key} was not written: {written.Problem ?? "it was written by somebody else meanwhile"}");
        }
    }

    /// <summary>What a member says of itself.</summary>
    private sealed record Witness(
        Member Member, string Name, string SystemId, string Role, string State, long Timeline, Lsn Position)
    {
        public bool IsPrimary => Role == "primary";

        /// <summary>All of them, the one that has the most first.</summary>
        /// <exception cref="CtlException">They are not of one cluster, or one does not answer.</exception>
        public static async Task<Witness[]> AskAllAsync(
            Session session, string cluster, Member[] members, CancellationToken cancellationToken)
        {
            var all = await Task.WhenAll(members.Select(
                member => AskAsync(session, cluster, member, cancellationToken)));
            if (all.GroupBy(one => one.Name).FirstOrDefault(same => same.Skip(1).Any()) is { } twice)
            {
                throw new CtlException($"Two of the addresses are those of {twice.Key}");
            }
            if (all.FirstOrDefault(one => one.SystemId != all[0].SystemId) is { } other)
            {
                throw new CtlException(
                    $"{all[0].Name} has the system identifier {all[0].SystemId}, and {other.Name} {other.SystemId}: "
                        + "they are not of one cluster");
            }
            if (all.Where(one => one.IsPrimary).ToList() is [var first, var second, ..])
            {
                throw new CtlException($"{first.Name} and {second.Name} are both primaries",
                    "Stop the one whose commits may be lost, and keep its data directory.");
            }
            return [.. all.OrderByDescending(one => one.IsPrimary).ThenByDescending(one => one.Timeline)
                .ThenByDescending(one => one.Position)];
        }

        private static async Task<Witness> AskAsync(
            Session session, string cluster, Member member, CancellationToken cancellationToken)
        {
            MemberStatus status;
            try
            {
                status = await MemberStatus.AskAsync(session.Api, member, cancellationToken);
            }
            catch (NoAnswerException problem)
            {
                throw new CtlException(
                    $"{member.Name} gives no answer, and may have more than the others: {problem.Message}",
                    "Bring it back; if it is lost for good, name the others alone by --member.", problem);
            }
            var agent = status.Document["patroni"];
            if ((string?)agent?["scope"] != cluster)
            {
                throw new CtlException($"{member.Name} is a member of {agent?["scope"]}, not of {cluster}");
            }
            var name = (string?)agent?["name"] ?? member.Name;
            return (string?)status.Document["database_system_identifier"] is { } system
                ? new Witness(member, name, system, status.Role ?? "unknown", status.State, status.Timeline ?? 0,
                    new Lsn((ulong)Math.Max(status.Written ?? 0, Math.Max(status.Received ?? 0, status.Replayed ?? 0))))
                : throw new CtlException(
                    $"{name} does not tell its system identifier: it has no data, or does not run");
        }
    }
}
