using Prometheus;
using Routing.Agent.Backups;

namespace Routing.Agent.Metrics;

/// <summary>The repository and the archiver, in numbers. Without a <c>pgbackrest</c> section there are none.</summary>
internal sealed class BackupMetrics
{
    private readonly string[] _self;
    private readonly Gauge _usable;
    private readonly Gauge _ended;
    private readonly Gauge _age;
    private readonly Gauge _maximumAge;
    private readonly Gauge _walMissing;
    private readonly Gauge _archiverFails;

    /// <param name="factory">Where the instruments belong.</param>
    /// <param name="self">The values of the labels <c>scope</c> and <c>name</c>.</param>
    public BackupMetrics(MetricFactory factory, string[] self)
    {
        string[] labels = ["scope", "name"];
        _self = self;
        _usable = factory.CreateGauge(
            "routing_backup_repository_usable", "1 while pgBackRest can use the repository.", labels);
        _ended = factory.CreateGauge(
            "routing_backup_last_end_timestamp_seconds", "When the last backup of this type ended, epoch seconds.",
            ["scope", "name", "type"]);
        _age = factory.CreateGauge(
            "routing_backup_last_age_seconds", "How long ago the last backup of this type ended.",
            ["scope", "name", "type"]);
        _maximumAge = factory.CreateGauge(
            "routing_backup_maximum_age_seconds", "A last backup, of any type, that is older is too old.", labels);
        _walMissing = factory.CreateGauge(
            "routing_backup_wal_missing", "1 when the repository lacks WAL from the last backup on; primary only.",
            labels);
        _archiverFails = factory.CreateGauge(
            "routing_archiver_failing", "1 when the last attempt to archive a segment failed; primary only.", labels);
    }

    /// <summary>Takes what was found; null: nothing is known.</summary>
    public void Set(BackupReport? report, DateTimeOffset now)
    {
        Set(_usable, report is null ? null : report.Problem is null);
        Set(_maximumAge, report?.MaximumAge.TotalSeconds);
        var archives = report?.Archiver is { IsPrimary: true };
        Set(_walMissing, archives && report!.Problem is null ? report.MissingWal is not null : null);
        Set(_archiverFails, archives && report!.Archiver!.IsOn ? report.Archiver.FailsNow : null);

        var last = (report?.Backups ?? []).GroupBy(backup => backup.Type)
            .ToDictionary(group => group.Key, group => group.Max(backup => backup.Stop));
        foreach (var gone in _ended.GetAllLabelValues().Where(labels => !last.ContainsKey(labels[2])))
        {
            _ended.RemoveLabelled(gone);
            _age.RemoveLabelled(gone);
        }
        foreach (var (type, stop) in last)
        {
            _ended.WithLabels([.. _self, type]).Set(stop.ToUnixTimeSeconds());
            _age.WithLabels([.. _self, type]).Set((now - stop).TotalSeconds);
        }
    }

    private void Set(Gauge gauge, bool? value) => Set(gauge, value is { } known ? (known ? 1 : 0) : (double?)null);

    private void Set(Gauge gauge, double? value)
    {
        if (value is { } known)
        {
            gauge.WithLabels(_self).Set(known);
        }
        else
        {
            gauge.RemoveLabelled(_self);
        }
    }
}
