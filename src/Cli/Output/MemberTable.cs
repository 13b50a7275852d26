using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Cluster;
using Routing.Cluster.Overview;
using Routing.Cluster.Text;

namespace Routing.Cli.Output;

/// <summary>The table of a cluster's members, with what else an operator must know below it.</summary>
internal static class MemberTable
{
    private const int DefaultPort = 5432;
    private const int LongestReason = 50;
    internal const string Unknown = "unknown";

    /// <summary>What a table shows beyond the ordinary.</summary>
    internal sealed record Options
    {
        /// <summary>Show the optional columns though no member has anything in them.</summary>
        public bool Extended { get; init; }

        /// <summary>Make what matters visible from afar.</summary>
        public bool IsColoured { get; init; }

        /// <summary>How far members are that make a copy, by name: a column of its own while there is any.</summary>
        public ImmutableDictionary<string, string> Progress { get; init; } = ImmutableDictionary<string, string>.Empty;
    }

    /// <summary>Prints the table.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="snapshot">The cluster.</param>
    /// <param name="cluster">Its name.</param>
    /// <param name="group">Its Citus group, or null.</param>
    /// <param name="format">The form.</param>
    /// <param name="options">What it shows beyond the ordinary; null for nothing.</param>
    public static void Print(
        TextWriter output, ClusterSnapshot snapshot, string cluster, int? group, OutputFormat format,
        Options? options = null)
    {
        options ??= new Options();
        var overview = ClusterOverview.From(snapshot);
        Build(overview, snapshot.Initialize, cluster, group, format, options).Print(output, format, options.IsColoured);
        if (format.IsForPeople())
        {
            PrintRemarks(output, overview);
        }
    }

    private static Table Build(
        ClusterOverview overview, InitializeKey initialize, string cluster, int? group, OutputFormat format,
        Options options)
    {
        var members = overview.Members;
        var isTopology = format == OutputFormat.Topology;
        IEnumerable<(string Label, MemberOverview Member)> ordered =
            isTopology ? Topology.Order(members) : members.Select(member => (member.Name, member));
        var withPort = members.Any(member => member.Port is { } port && port != DefaultPort)
            || members.Where(member => member.Host is not null).GroupBy(member => member.Host)
                .Any(host => host.Count() > 1);

        var columns = new List<(Column Column, Func<string, MemberOverview, JsonNode?> Cell)>
        {
            (new("Cluster") { InTitle = true }, (_, _) => cluster),
        };
        if (group is not null)
        {
            columns.Add((new("Group", AlignRight: true) { InTitle = true }, (_, _) => (long)group));
        }
        if (members.Any(member => member.Site is not null))
        {
            columns.Add((new("Site"), (_, member) => member.Site));
        }
        columns.AddRange(
        [
            (new("Member"), (label, _) => label),
            (new("Host"), (_, member) => Host(member, withPort)),
            (new("Role") { Colour = MemberColours.OfRole }, (_, member) => RoleTitle(member.Role)),
            (new("State") { Colour = MemberColours.OfState }, (_, member) => member.State),
            (new("TL", AlignRight: true), (_, member) => member.Timeline is { } timeline ? (long)timeline : null),
            (new("Receive LSN", AlignRight: true) { Colour = MemberColours.OfPosition },
                (_, member) => Position(Received(member))),
            (new("Receive Lag", AlignRight: true) { Heading = "Lag", Colour = MemberColours.OfLag },
                (_, member) => LagMegabytes(Received(member))),
            (new("Replay LSN", AlignRight: true) { Colour = MemberColours.OfPosition },
                (_, member) => Position(Replayed(member))),
            (new("Replay Lag", AlignRight: true) { Heading = "Lag", Colour = MemberColours.OfLag },
                (_, member) => LagMegabytes(Replayed(member))),
        ]);
        AddOptional(new("Pending restart") { Colour = MemberColours.OfPending },
            (_, member) => member.PendingRestart ? "*" : null);
        AddOptional(new("Pending restart reason"), (_, member) => Reason(member, hideLong: format.IsForPeople()));
        AddOptional(new("Scheduled restart"), (_, member) => Schedule(member.ScheduledRestart));
        AddOptional(new("Tags"), (_, member) => Tags(member.Tags));
        if (!options.Progress.IsEmpty)
        {
            columns.Add((new("Progress"), (_, member) => options.Progress.GetValueOrDefault(member.Name)));
        }

        return new Table(
            [.. columns.Select(column => column.Column)],
            [.. ordered.Select(row => columns.Select(column => column.Cell(row.Label, row.Member)).ToArray())])
        {
            Title = Title(initialize, cluster, group),
            OmitsEmpty = true,
        };

        void AddOptional(Column column, Func<string, MemberOverview, JsonNode?> cell)
        {
            if (options.Extended || members.Any(member => cell(member.Name, member) is not null))
            {
                columns.Add((column, cell));
            }
        }
    }

    private static string Title(InitializeKey initialize, string cluster, int? group)
    {
        var system = initialize switch
        {
            { IsMissing: true } => "uninitialized",
            { IsInProgress: true } => "initializing",
            _ => initialize.Value,
        };
        return group is null
            ? $" Cluster: {cluster} ({system}) "
            : string.Create(CultureInfo.InvariantCulture, $" Citus cluster: {cluster} (group: {group}, {system}) ");
    }

    private static void PrintRemarks(TextWriter output, ClusterOverview overview)
    {
        if (overview.Pause)
        {
            output.WriteLine(" Maintenance mode: on");
        }
        if (overview.Intent is { } intent)
        {
            output.WriteLine($" Switchover under way: {intent.Leader} is about to hand over");
        }
        if (overview.ScheduledSwitchover is { ScheduledAt: { } at } request)
        {
            output.WriteLine($" Switchover scheduled at: {IsoTime.Format(at)}");
            var parts = new[] { ("from", request.Leader), ("to", request.Candidate), ("site", request.Site) };
            foreach (var (word, value) in parts)
            {
                if (value is not null)
                {
                    output.WriteLine($"{word,24}: {value}");
                }
            }
        }
    }

    private static string? Host(MemberOverview member, bool withPort) =>
        member is { Host: { } host, Port: { } port } && withPort ? new HostPort(host, port).ToString() : member.Host;

    private static string RoleTitle(string role) =>
        CultureInfo.InvariantCulture.TextInfo.ToTitleCase(role.Replace('_', ' '));

    /// <summary>
    /// Received WAL. A member of an older version publishes one position only: the received one while it streams.
    /// </summary>
    private static (bool Applies, Lsn? Position, long? LagBytes) Received(MemberOverview member) => member switch
    {
        { IsLockHolder: true } => default,
        { ReceiveLsn: null, ReplayLsn: null, Lsn: not null } =>
            member.State == "streaming" ? (true, member.Lsn, member.LagBytes) : default,
        _ => (true, member.ReceiveLsn, member.ReceiveLagBytes),
    };

    private static (bool Applies, Lsn? Position, long? LagBytes) Replayed(MemberOverview member) => member switch
    {
        { IsLockHolder: true } => default,
        { ReceiveLsn: null, ReplayLsn: null, Lsn: not null } =>
            member.State == "streaming" ? default : (true, member.Lsn, member.LagBytes),
        _ => (true, member.ReplayLsn, member.ReplayLagBytes),
    };

    private static string? Position((bool Applies, Lsn? Position, long? LagBytes) wal) =>
        wal.Applies ? wal.Position?.ToString() ?? Unknown : null;

    private static JsonNode? LagMegabytes((bool Applies, Lsn? Position, long? LagBytes) wal) =>
        wal is { Position: not null, LagBytes: { } bytes } ? (long)Math.Round(bytes / 1024.0 / 1024.0) : null;

    private static string? Reason(MemberOverview member, bool hideLong)
    {
        var lines = member.PendingRestartReason.Select(change =>
        {
            var line = $"{change.Key}: {change.Value.OldValue}->{change.Value.NewValue}";
            return hideLong && line.Length > LongestReason ? $"{change.Key}: [hidden - too long]" : line;
        });
        return member.PendingRestartReason.IsEmpty ? null : string.Join('\n', lines);
    }

    private static string? Schedule(ScheduledRestart? restart) => restart switch
    {
        null => null,
        { PostgresVersion: { } version } => $"{IsoTime.Format(restart.Schedule)} if version < {version}",
        _ => IsoTime.Format(restart.Schedule),
    };

    private static JsonObject? Tags(MemberTags tags)
    {
        if (tags.Values.IsEmpty)
        {
            return null;
        }
        var item = new JsonObject();
        foreach (var (name, value) in tags.Values)
        {
            item[name] = JsonNode.Parse(value.GetRawText());
        }
        return item;
    }
}
