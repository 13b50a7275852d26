using Microsoft.Extensions.Logging;

namespace Routing.Hosting.Logging;

/// <summary>One line that waits to be written.</summary>
/// <param name="Time">When it was logged.</param>
/// <param name="Level">The level.</param>
/// <param name="Category">The logger that wrote it.</param>
/// <param name="Event">Its number and name.</param>
/// <param name="Message">The text.</param>
/// <param name="Exception">The cause, if any.</param>
/// <param name="Thread">The thread that logged it.</param>
internal sealed record LogRecord(
    DateTimeOffset Time, LogLevel Level, string Category, EventId Event, string Message, Exception? Exception,
    int Thread)
{
    /// <summary>
    /// The number of the event by which the loop logs its decision: the line that
    /// <c>deduplicate_heartbeat_logs</c> leaves out when it repeats.
    /// </summary>
    public const int Heartbeat = 1001;
}
