using System.Globalization;
using Routing.Cluster;

namespace Routing.Cli.Backups;

/// <summary>What a restore would do, and whether the repository has what it needs.</summary>
/// <param name="Lines">Sentences for the operator.</param>
/// <param name="Problem">Why it cannot be done; null: nothing speaks against it.</param>
/// <param name="Backup">The label of the backup to begin with; null: pgBackRest takes its newest one.</param>
internal sealed record RestorePlan(IReadOnlyList<string> Lines, string? Problem, string? Backup)
{
    /// <summary>Judges a target.</summary>
    /// <param name="snapshot">The cluster.</param>
    /// <param name="leader">Its leader.</param>
    /// <param name="repository">What the leader says of the repository.</param>
    /// <param name="target">What to go back to.</param>
    /// <param name="label">The backup to begin with; null: the newest before the target.</param>
    /// <param name="timeline">The timeline to follow; 0: the leader's.</param>
    public static RestorePlan Of(
        ClusterSnapshot snapshot, Member leader, RepositoryDocument repository, RestoreTarget target, string? label,
        uint timeline)
    {
        var lines = new List<string>();
        var problem = Problems(snapshot, leader, repository, target, label, timeline, out var backup).FirstOrDefault();
        lines.Add($"The cluster goes back to {target}, on {leader.Name}, the leader.");
        if (backup is not null)
        {
            lines.Add(string.Create(CultureInfo.InvariantCulture,
                $"It begins with the backup {backup.Label} ({backup.Type}), which ended at "
                    + $"{backup.Stop:yyyy-MM-dd HH:mm:ss}Z, and replays WAL of timeline "
                    + $"{(timeline > 0 ? timeline : leader.Timeline ?? 0)} up to the target."));
        }
        if (RestoreMoment.TimeOf(target) is { } time)
        {
            lines.Add(string.Create(CultureInfo.InvariantCulture,
                $"Lost is what was committed in the {(repository.Time - time).TotalSeconds:0} s since then."));
        }
        else if (target.Kind == "lsn" && Lsn.TryParse(target.Value, out var lsn) && snapshot.Status.Optime is { } end)
        {
            lines.Add(string.Create(CultureInfo.InvariantCulture,
                $"Lost are {end.BytesAheadOf(lsn)} bytes of WAL: what was committed since {lsn}."));
        }
        else
        {
            lines.Add("Lost is what was committed since then.");
        }
        var others = snapshot.Members.Keys.Where(name => name != leader.Name).ToList();
        lines.Add("Writes end when it begins. Until it has ended, no other member can lead.");
        lines.Add($"The present data of {leader.Name} are kept beside the new ones, and take as much room."
            + (others.Count == 0 ? "" : $" Then {string.Join(", ", others)} are rewound, or copied anew."));
        // A name says nothing of when it was given, so only its operator knows a backup that is older.
        return new RestorePlan(lines, problem, label ?? (target.Kind == "name" ? null : backup?.Label));
    }

    private static List<string> Problems(
        ClusterSnapshot snapshot, Member leader, RepositoryDocument repository, RestoreTarget target, string? label,
        uint timeline, out RepositoryBackup? backup)
    {
        var problems = new List<string>();
        backup = null;
        if (repository.Stanza is null)
        {
            problems.Add($"{leader.Name} has no pgbackrest section: it does not know where the repository is");
        }
        if (repository.Problem is { } broken)
        {
            problems.Add(broken);
        }
        if (snapshot.Config?.Pause == true)
        {
            problems.Add("the cluster is paused: resume it first");
        }
        if (snapshot.Members.Values.FirstOrDefault(member => member.Routing is null) is { } other)
        {
            problems.Add($"{other.Name} does not run routing-agent, and could take the leader key meanwhile");
        }
        if (problems.Count > 0)
        {
            return problems;
        }
        var time = RestoreMoment.TimeOf(target);
        Lsn? lsn = target.Kind == "lsn" && Lsn.TryParse(target.Value, out var position) ? position : null;
        backup = label is not null
            ? repository.Backups.FirstOrDefault(one => one.Label == label)
            : Newest(
                [.. repository.Backups.Where(one => IsOnTheWayTo(snapshot, one, timeline, leader)
                    && (lsn is null || one.StopLsn is null || one.StopLsn <= lsn))], time);
        if (backup is null)
        {
            problems.Add(label is not null ? $"the repository has no backup {label}"
                : repository.Backups is [var first, ..] ? string.Create(CultureInfo.InvariantCulture,
                    $"the repository does not cover {target}: its oldest backup ended at "
                        + $"{first.Stop:yyyy-MM-dd HH:mm:ss}Z")
                : "the repository holds no backup");
        }
        if (time > repository.Time)
        {
            problems.Add($"{target} is in the future");
        }
        if (lsn is { } wanted && snapshot.Status.Optime is { } end && wanted > end)
        {
            problems.Add($"{target} is beyond the end of the WAL, {end}");
        }
        if (timeline > (leader.Timeline ?? timeline))
        {
            problems.Add($"the cluster is on timeline {leader.Timeline} and has none {timeline}");
        }
        if (repository.Archiver is { } archiver && (bool?)archiver["fails"] == true)
        {
            problems.Add($"{leader.Name} fails to archive {(string?)archiver["failed_wal"]}: mend that first");
        }
        return problems;
    }

    /// <summary>The newest backup that ended before a time; the newest of all without a time.</summary>
    /// <remarks>
    /// The repository gives whole seconds, so a backup that ended in the very second of the time may have ended after
    /// it. An older backup is certain, and is taken. Where there is none, PostgreSQL itself judges: it refuses a target
    /// that comes before the end of the backup. pgBackRest alone would refuse such a backup in any case.
    /// </remarks>
    private static RepositoryBackup? Newest(RepositoryBackup[] backups, DateTimeOffset? time) => time is not { } wanted
        ? backups.LastOrDefault()
        : backups.LastOrDefault(one => one.Stop.ToUnixTimeSeconds() < wanted.ToUnixTimeSeconds())
            ?? backups.LastOrDefault(one => one.Stop <= wanted);

    /// <summary>The backup ended on the timeline to follow, or on an ancestor before that one was left.</summary>
    private static bool IsOnTheWayTo(
        ClusterSnapshot snapshot, RepositoryBackup backup, uint timeline, Member leader)
    {
        var wanted = timeline > 0 ? timeline : leader.Timeline ?? uint.MaxValue;
        if (backup.Timeline >= wanted || backup.Timeline == 0)
        {
            return backup.Timeline <= wanted;
        }
        var lines = snapshot.History?.Lines ?? [];
        return lines.FirstOrDefault(line => line.Timeline == backup.Timeline) is { } left
            ? backup.StopLsn is null || backup.StopLsn <= left.SwitchPoint
            : lines.IsEmpty || backup.Timeline < lines[0].Timeline;   // the list forgets its oldest lines
    }
}
