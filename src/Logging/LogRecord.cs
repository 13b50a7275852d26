using Microsoft.Extensions.Logging;

namespace Routing.Logging;

/// <summary>One line that waits to be written.</summary>
/// <param name="Time">When it was said.</param>
/// <param name="Level">How grave it is.</param>
/// <param name="Category">Who said it.</param>
/// <param name="Event">Its number and name.</param>
/// <param name="Message">What was said.</param>
/// <param name="Exception">The cause, if any.</param>
/// <param name="Thread">The thread that said it.</param>
internal sealed record LogRecord(
    DateTimeOffset Time, LogLevel Level, string Category, EventId Event, string Message, Exception? Exception, int Thread)
{
    /// <summary>
    /// The number of the event with which the loop says what it decided: the line that
    /// <c>deduplicate_heartbeat_logs</c> leaves out when it repeats.
    /// </summary>
    public const int Heartbeat = 1001;
}
