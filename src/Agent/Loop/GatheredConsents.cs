namespace Routing.Agent.Loop;

/// <summary>The consents that the members have given this leader in failsafe mode.</summary>
/// <remarks>
/// Each binds its member for its own time, counted from before the question. A member that answers one question in time
/// and the next one late has consented all the same: all of them together may come from several questions.
/// </remarks>
internal sealed class GatheredConsents
{
    private readonly Dictionary<string, (long SentAt, long Until)> _given = new(StringComparer.Ordinal);

    /// <summary>A member has consented.</summary>
    /// <param name="member">Its name.</param>
    /// <param name="sentAt">The timestamp before it was asked.</param>
    /// <param name="until">The timestamp up to which it is bound.</param>
    public void Add(string member, long sentAt, long until) => _given[member] = (sentAt, until);

    /// <summary>A member has refused: nothing that was given before counts.</summary>
    public void Clear() => _given.Clear();

    /// <summary>
    /// The oldest of their questions, and the first end of their consents. Null: one of these members has not
    /// consented, or is not bound any more.
    /// </summary>
    /// <param name="members">All that have to consent.</param>
    /// <param name="sentAt">The timestamp before the last question.</param>
    /// <param name="until">The timestamp up to which its answers bind.</param>
    /// <param name="now">The present timestamp.</param>
    public (long SentAt, long Until)? Of(IEnumerable<string> members, long sentAt, long until, long now)
    {
        foreach (var member in members)
        {
            if (!_given.TryGetValue(member, out var given) || given.Until <= now)
            {
                return null;
            }
            sentAt = Math.Min(sentAt, given.SentAt);
            until = Math.Min(until, given.Until);
        }
        return (sentAt, until);
    }
}
