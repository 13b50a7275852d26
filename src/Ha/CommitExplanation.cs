using System.Collections.Immutable;
using System.Globalization;
using Routing.Cluster;
using Routing.Ha.Synchronous;

namespace Routing.Ha;

/// <summary>Explains what a commit waits for, by what PostgreSQL itself says of its standbys.</summary>
public static class CommitExplanation
{
    private const string Disconnected = "disconnected";

    /// <summary>Explains it for a primary.</summary>
    /// <param name="local">The primary's server, as it was last seen.</param>
    /// <param name="config">The dynamic configuration in force.</param>
    /// <param name="members">The members by name.</param>
    public static CommitWait Explain(
        LocalPostgres local, DynamicConfig config, ImmutableSortedDictionary<string, Member> members)
    {
        var names = SyncStandbyNames.TryParse(local.SynchronousStandbyNames, out var parsed)
            ? parsed
            : SyncStandbyNames.None;
        var rows = local.Standbys.Where(row => members.ContainsKey(row.ApplicationName) || IsListed(names, row))
            .GroupBy(row => row.ApplicationName, StringComparer.OrdinalIgnoreCase)
            .Select(group => group.MaxBy(row => row.FlushLsn ?? Lsn.Zero)!)
            .OrderBy(row => row.ApplicationName, StringComparer.Ordinal).ToImmutableArray();
        var waits = names.Method != SyncMethod.None && local.SynchronousCommit is not ("off" or "local");
        var situation = new Situation(local, config, members, names, rows, waits);
        return new CommitWait
        {
            Mode = SyncPlanner.ModeOf(config),
            IsStrict = config.SynchronousModeStrict,
            SynchronousCommit = local.SynchronousCommit,
            Names = local.SynchronousStandbyNames,
            Lsn = local.WalPosition,
            WaitsFor = waits ? names.Count : 0,
            Of = situation.Of,
            Standbys =
            [
                .. rows.Select(situation.Describe),
                .. situation.Of.Where(name => !rows.Any(row => Same(row.ApplicationName, name)))
                    .Select(Situation.DescribeMissing),
            ],
            Text = situation.Text(),
        };
    }

    private static bool IsListed(SyncStandbyNames names, StandbyRow row) =>
        names.Names.Contains("*") || names.Names.Contains(row.ApplicationName);

    private static bool Same(string left, string right) =>
        string.Equals(left, right, StringComparison.OrdinalIgnoreCase);

    private sealed class Situation(
        LocalPostgres local, DynamicConfig config, ImmutableSortedDictionary<string, Member> members,
        SyncStandbyNames names, ImmutableArray<StandbyRow> rows, bool waits)
    {
        private readonly bool _isManaged = SyncPlanner.ModeOf(config) != SynchronousMode.Off;

        /// <summary>The standbys that a commit can wait for.</summary>
        public ImmutableSortedSet<string> Of { get; } = !waits ? NameSet.Empty
            : names.Names.Contains("*") ? NameSet.Of(rows.Select(row => row.ApplicationName))
            : names.Standbys;

        private string Verb => local.SynchronousCommit switch
        {
            "remote_apply" => "replayed",
            "remote_write" => "written",
            _ => "flushed",
        };

        public CommitStandby Describe(StandbyRow row) => new(
            row.ApplicationName, row.State, row.SyncState, Counts(row), row.WriteLsn, row.FlushLsn, row.ReplayLsn,
            row.ToSender().AcknowledgedLsn(local.SynchronousCommit) is { } acknowledged
                ? local.WalPosition.BytesAheadOf(acknowledged)
                : null,
            IfLost(row));

        public static CommitStandby DescribeMissing(string name) => new(
            name, Disconnected, "", false, null, null, null, null,
            "It is not connected: no commit is confirmed by it.");

        public string Text()
        {
            if (!waits)
            {
                return names.Method == SyncMethod.None
                    ? $"A commit waits for no standby: {(_isManaged
                        ? "there is none that could be synchronous"
                        : "synchronous_mode is off, and synchronous_standby_names is empty")}. The last commits are "
                        + "lost when the leader is lost."
                    : $"A commit waits for no standby: synchronous_commit is {local.SynchronousCommit}.";
            }
            if (names.IsPlaceholder)
            {
                return "Commits wait until a standby streams: there is none, and synchronous_mode_strict is on.";
            }
            var who = names.Count >= Of.Count
                ? Join(Of)
                : string.Create(CultureInfo.InvariantCulture,
                    $"{(names.Method == SyncMethod.Any ? "any" : "the first")} {names.Count} of {Join(Of, "or")}");
            var counted = rows.Count(Counts);
            var text = $"A commit waits until {who} {(names.Count > 1 ? "have" : "has")} {Verb} it "
                + $"(synchronous_commit is {local.SynchronousCommit}).";
            return counted >= names.Count
                ? text
                : string.Create(CultureInfo.InvariantCulture,
                    $"{text} Commits are waiting now: {counted} of {names.Count} needed are connected.");
        }

        private bool Counts(StandbyRow row) =>
            waits && row is { State: "streaming" or "stopping", SyncState: "sync" or "quorum" };

        private string IfLost(StandbyRow row)
        {
            if (!waits)
            {
                return "Commits go on: they wait for no standby.";
            }
            if (!Counts(row))
            {
                return row.SyncState == "potential"
                    ? "Commits go on: it is only in reserve."
                    : "Commits go on: they do not wait for it.";
            }
            var others = rows.Where(other => other != row && other.State == "streaming").ToList();
            var counted = others.Where(Counts).ToList();
            if (counted.Count >= names.Count)
            {
                return string.Create(CultureInfo.InvariantCulture,
                    $"Commits go on: {names.Count} of {Join(NameSet.Of(counted.Select(r => r.ApplicationName)))} "
                        + $"are enough.");
            }
            if (others.FirstOrDefault(other => other.SyncState == "potential") is { } reserve)
            {
                return $"Commits go on at once: {reserve.ApplicationName} takes its place.";
            }
            return $"Commits wait until it is back{WhatTheAgentDoes(others)}.";
        }

        /// <summary>The agent's own next step, which ends the wait.</summary>
        private string WhatTheAgentDoes(List<StandbyRow> others)
        {
            if (!_isManaged)
            {
                return ": synchronous_standby_names is the operator's own, and no agent changes it";
            }
            if (others.FirstOrDefault(other => !Counts(other)
                && members.GetValueOrDefault(other.ApplicationName) is { Tags.NoSync: false }) is { } next)
            {
                return $", or until the leader's agent puts {next.ApplicationName} in its place, within a second or two"
                    + " of seeing it gone";
            }
            if (others.Any(Counts))
            {
                return ", or until the leader's agent takes it from synchronous_standby_names, within a second or two"
                    + " of seeing it gone";
            }
            return config.SynchronousModeStrict
                ? " or another standby streams: synchronous_mode_strict is on"
                : ", or until the leader's agent sees it gone: from then on commits wait for no standby";
        }

        private static string Join(ImmutableSortedSet<string> list, string last = "and") => list.Count switch
        {
            0 => "nobody",
            1 => list.First(),
            _ => $"{string.Join(", ", list.Take(list.Count - 1))} {last} {list.Last()}",
        };
    }
}
