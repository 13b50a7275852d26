using System.Globalization;

namespace Routing.Cluster;

/// <summary>One reign of one leader: the create revision of the leader key. It only grows.</summary>
/// <remarks>Nothing that routes ever goes back to a lower term than one it has seen.</remarks>
/// <param name="Revision">The revision of the DCS at which the key came into being; 0 before any leader was seen.</param>
public readonly record struct Term(long Revision) : IComparable<Term>
{
    /// <inheritdoc/>
    public int CompareTo(Term other) => Revision.CompareTo(other.Revision);

    /// <inheritdoc/>
    public override string ToString() => Revision.ToString(CultureInfo.InvariantCulture);

    /// <summary>Whether <paramref name="left"/> is older.</summary>
    public static bool operator <(Term left, Term right) => left.Revision < right.Revision;

    /// <summary>Whether <paramref name="left"/> is newer.</summary>
    public static bool operator >(Term left, Term right) => left.Revision > right.Revision;

    /// <summary>Whether <paramref name="left"/> is not newer.</summary>
    public static bool operator <=(Term left, Term right) => left.Revision <= right.Revision;

    /// <summary>Whether <paramref name="left"/> is not older.</summary>
    public static bool operator >=(Term left, Term right) => left.Revision >= right.Revision;
}
