using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Routing.Settings;

namespace Routing.Hosting.Logging;

/// <summary>Reads the <c>log</c> section, the same for every program.</summary>
public static class LogSection
{
    /// <summary>Reads the section; what is wrong goes into its report.</summary>
    public static LogSettings Read(SectionReader log)
    {
        ArgumentNullException.ThrowIfNull(log);
        var json = log.Choice("type", ("plain", false), ("json", true)) ?? false;
        string? format = null;
        var fields = ImmutableArray<KeyValuePair<string, string>>.Empty;
        switch (log.Any("format"))
        {
            case null:
                break;
            case JsonArray list when json:
                fields = ReadJsonFields(log, list);
                break;
            case JsonArray:
                log.Wrong("format", "a text: a list is for the type json alone");
                break;
            default:
                format = log.Text("format");
                break;
        }
        var loggers = ImmutableSortedDictionary.CreateBuilder<string, LogLevel>(StringComparer.Ordinal);
        var levels = log.Section("loggers");
        foreach (var category in levels.Keys.ToList())
        {
            if (Level(levels, category) is { } level)
            {
                loggers[category] = level;
            }
        }
        var settings = new LogSettings
        {
            Json = json,
            Level = Level(log, "level") ?? LogLevel.Information,
            TracebackLevel = Level(log, "traceback_level") ?? LogLevel.Error,
            Format = format,
            JsonFields = fields,
            DateFormat = log.Text("dateformat"),
            StaticFields = log.TextMap("static_fields") ?? ImmutableSortedDictionary<string, string>.Empty,
            MaximumQueueLength = log.Number("max_queue_size", 1) ?? 1000,
            Directory = log.Text("dir"),
            FileMode = log.FileMode("mode"),
            FileCount = log.Number("file_num", 0) ?? 4,
            FileSizeBytes = log.Whole("file_size", 0) ?? 25_000_000,
            Loggers = loggers.ToImmutable(),
            DeduplicateHeartbeat = log.Boolean("deduplicate_heartbeat_logs") ?? false,
        };
        log.WarnUnknownKeys();
        return settings;
    }

    private static ImmutableArray<KeyValuePair<string, string>> ReadJsonFields(SectionReader log, JsonArray list)
    {
        var fields = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>();
        foreach (var item in list)
        {
            if (item is JsonObject { Count: 1 } rename && SectionReader.ScalarText(rename.First().Value) is { } newName)
            {
                fields.Add(KeyValuePair.Create(rename.First().Key, newName));
            }
            else if (item is JsonValue && SectionReader.ScalarText(item) is { } field)
            {
                fields.Add(KeyValuePair.Create(field, field));
            }
            else
            {
                log.Wrong("format", "a list of texts or of one-key mappings");
            }
        }
        if (fields.Count == 0)
        {
            log.Wrong("format", "a list that is not empty");
        }
        return fields.ToImmutable();
    }

    private static LogLevel? Level(SectionReader section, string key) => section.Choice(
        key, ("DEBUG", LogLevel.Debug), ("INFO", LogLevel.Information), ("WARN", LogLevel.Warning),
        ("WARNING", LogLevel.Warning),
        ("ERROR", LogLevel.Error), ("FATAL", LogLevel.Critical), ("CRITICAL", LogLevel.Critical));
}
