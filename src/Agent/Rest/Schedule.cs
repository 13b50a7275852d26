using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Routing.Cluster.Text;

namespace Routing.Agent.Rest;

/// <summary>Reads the time for which an action is planned.</summary>
internal static partial class Schedule
{
    /// <summary>Reads it.</summary>
    /// <param name="text">ISO time with a zone.</param>
    /// <param name="action">The word for the messages.</param>
    /// <param name="now">The present.</param>
    /// <param name="at">The time; null when it cannot be used.</param>
    /// <returns>Why it cannot be used; null when it can.</returns>
    public static Refusal? Read(string text, string action, DateTimeOffset now, out DateTimeOffset? at)
    {
        at = null;
        if (!IsoTime.TryParse(text, out var time))
        {
            return new Refusal(StatusCodes.Status422UnprocessableEntity,
                "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601");
        }
        if (!Zone().IsMatch(text.TrimEnd()))
        {
            return new Refusal(StatusCodes.Status400BadRequest,
                $"Timezone information is mandatory for the scheduled {action}");
        }
        if (time < now)
        {
            return new Refusal(StatusCodes.Status422UnprocessableEntity, $"Cannot schedule {action} in the past");
        }
        at = time;
        return null;
    }

    [GeneratedRegex(@":\d\d(\.\d+)?\s*(Z|z|[+-]\d\d(:?\d\d)?)$")]
    private static partial Regex Zone();
}
