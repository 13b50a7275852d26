using System.Globalization;
using Routing.Cluster;

namespace Routing.Cli.Backups;

/// <summary>What a restore would do, and whether the repository has what it needs.</summary>
/// <param name="Lines">Sentences for the operator.</param>
/// <param name="Problem">Why it cannot be done; null: nothing speaks against it.</param>
internal sealed record RestorePlan(IReadOnlyList<string> Lines, string? Problem)
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
        return new RestorePlan(lines, problem);
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
            problems.Add($"{other.Name} does not run our agent, and could take the leader key meanwhile");
        }
        if (problems.Count > 0)
        {
            return problems;
        }
        var time = RestoreMoment.TimeOf(target);
        Lsn? lsn = target.Kind == "lsn" && Lsn.TryParse(target.Value, out var position) ? position : null;
        backup = label is not null
            ? repository.Backups.FirstOrDefault(one => one.Label == label)
            : repository.Backups.LastOrDefault(
                one => (time is null || one.Stop <= time)
                    && (lsn is null || one.StopLsn is null || one.StopLsn <= lsn));
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
}
