namespace Routing.Proxy.Takeover;

/// <summary>
/// The versions of the conversation between two processes: of its messages and their order. The state of a session has
/// a format of its own, which the other process may refuse session by session.
/// </summary>
internal static class TakeoverVersion
{
    /// <summary>The lowest that this program speaks.</summary>
    public const int Lowest = 1;

    /// <summary>The highest.</summary>
    public const int Highest = 1;

    /// <summary>The highest that both sides speak; null: there is none.</summary>
    public static int? Common(int lowest, int highest) =>
        Math.Min(highest, Highest) is var common && common >= Math.Max(lowest, Lowest) ? common : null;
}
