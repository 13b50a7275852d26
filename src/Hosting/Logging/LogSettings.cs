using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Routing.Hosting.Logging;

/// <summary><c>log</c>: what is written where.</summary>
public sealed record LogSettings
{
    /// <summary><c>type</c>: JSON objects instead of plain lines. Default plain.</summary>
    public bool Json { get; init; }

    /// <summary><c>level</c>. Default INFO.</summary>
    public LogLevel Level { get; init; } = LogLevel.Information;

    /// <summary>
    /// <c>traceback_level</c>: stack traces show when <see cref="Level"/> is this or finer. Default ERROR: always.
    /// </summary>
    public LogLevel TracebackLevel { get; init; } = LogLevel.Error;

    /// <summary><c>format</c> of a plain line, with Patroni's placeholders; null: its default.</summary>
    public string? Format { get; init; }

    /// <summary><c>format</c> as a list, for JSON: field of the record and the name that it gets.</summary>
    public ImmutableArray<KeyValuePair<string, string>> JsonFields { get; init; } = [];

    /// <summary><c>dateformat</c>, as in strftime; null: the default.</summary>
    public string? DateFormat { get; init; }

    /// <summary><c>static_fields</c>, added to each JSON object.</summary>
    public ImmutableSortedDictionary<string, string> StaticFields { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>
    /// <c>max_queue_size</c>: lines that wait for a slow disk before they are dropped and counted. Default 1000.
    /// </summary>
    public int MaximumQueueLength { get; init; } = 1000;

    /// <summary><c>dir</c>: where the file is written; null: to the console.</summary>
    public string? Directory { get; init; }

    /// <summary>
    /// The file in <see cref="Directory"/>; set by the program. Default the agent's <c>patroni.log</c>.
    /// </summary>
    public string FileName { get; init; } = "patroni.log";

    /// <summary><c>mode</c>: permission bits of the file; null: by the umask.</summary>
    public int? FileMode { get; init; }

    /// <summary><c>file_num</c>: rotated files kept. Default 4.</summary>
    public int FileCount { get; init; } = 4;

    /// <summary><c>file_size</c>, bytes: a file that reached it is rotated. Default 25,000,000.</summary>
    public long FileSizeBytes { get; init; } = 25_000_000;

    /// <summary><c>loggers</c>: levels of single categories.</summary>
    public ImmutableSortedDictionary<string, LogLevel> Loggers { get; init; } =
        ImmutableSortedDictionary<string, LogLevel>.Empty;

    /// <summary>
    /// <c>deduplicate_heartbeat_logs</c>: leave out a heartbeat line equal to the last one. Default off.
    /// </summary>
    public bool DeduplicateHeartbeat { get; init; }
}
