namespace Routing.Agent.Events;

/// <summary>Finds out which decisions are new, and which repeat one of a moment ago.</summary>
/// <remarks>
/// A member that waits for something comes to the same few decisions again and again, in turn, with figures that
/// change. Each of them is told once, and again after a minute, until the leader or the role has changed.
/// </remarks>
internal sealed class ReasonFilter
{
    private static readonly TimeSpan s_again = TimeSpan.FromMinutes(1);

    /// <summary>More reasons than any to and fro has; then the memory begins anew.</summary>
    private const int Most = 32;

    private readonly Dictionary<string, TimeSpan> _told = new(StringComparer.Ordinal);
    private string _last = "";
    private (string Code, string Reason) _lastSaid = ("", "");

    /// <summary>Whether this is news; then it counts as told.</summary>
    /// <param name="code">The decision's code.</param>
    /// <param name="reason">Its sentence.</param>
    /// <param name="now">Monotonic time.</param>
    public bool IsNews(string code, string reason, TimeSpan now)
    {
        if (_lastSaid == (code, reason))
        {
            return false;   // word for word: most runs of the loop
        }
        _lastSaid = (code, reason);
        var key = $"{code} {WithoutFigures(reason)}";
        if (key == _last)
        {
            return false;   // nothing has changed, for however long
        }
        _last = key;
        if (_told.TryGetValue(key, out var at) && now - at < s_again)
        {
            return false;
        }
        if (_told.Count >= Most)
        {
            _told.Clear();
        }
        _told[key] = now;
        return true;
    }

    /// <summary>Something else has changed: every decision is news again.</summary>
    public void Forget()
    {
        _told.Clear();
        _last = "";
        _lastSaid = ("", "");
    }

    /// <summary>Seconds that are left and bytes that are missing change with each run.</summary>
    private static string WithoutFigures(string reason) =>
        string.Concat(reason.Split(' ').Select(word => word.Any(char.IsAsciiDigit)
            && word.All(c => char.IsAsciiHexDigit(c) || !char.IsAsciiLetter(c)) ? "# " : word + " "));
}
