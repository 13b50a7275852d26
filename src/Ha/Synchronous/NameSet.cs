using System.Collections.Immutable;

namespace Routing.Ha.Synchronous;

/// <summary>Sets of member names, compared without case as PostgreSQL compares standby names.</summary>
internal static class NameSet
{
    public static readonly ImmutableSortedSet<string> Empty =
        ImmutableSortedSet.Create<string>(StringComparer.OrdinalIgnoreCase);

    public static ImmutableSortedSet<string> Of(IEnumerable<string> names) =>
        ImmutableSortedSet.CreateRange(StringComparer.OrdinalIgnoreCase, names);

    public static string Text(IReadOnlyCollection<string> names) =>
        names.Count == 0 ? "nobody" : string.Join(", ", names);
}
