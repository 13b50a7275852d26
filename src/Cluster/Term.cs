using System.Globalization;

namespace Routing.Cluster;

/// <summary>
/// The time in which one member leads without a break, by a number: the create revision of the leader key. It only
/// grows within one life of the store.
/// </summary>
/// <remarks>
/// Proxy and driver never follow a lower term than one they have seen. A store that was set up anew, or restored from a
/// snapshot, counts its revisions anew: a term of a later life is newer than every term of an earlier one.
/// </remarks>
/// <param name="Revision">
/// The revision of the DCS at which the key came into being; 0 before any leader was seen.
/// </param>
/// <param name="Life">Which life of the store (<see cref="StoreLife.Number"/>); each process counts for itself.</param>
public readonly record struct Term(long Revision, int Life = 0) : IComparable<Term>
{
    /// <inheritdoc/>
    public int CompareTo(Term other) =>
        Life != other.Life ? Life.CompareTo(other.Life) : Revision.CompareTo(other.Revision);

    /// <summary>The revision alone.</summary>
    public override string ToString() => Revision.ToString(CultureInfo.InvariantCulture);

    /// <summary>Whether <paramref name="left"/> is older.</summary>
    public static bool operator <(Term left, Term right) => left.CompareTo(right) < 0;

    /// <summary>Whether <paramref name="left"/> is newer.</summary>
    public static bool operator >(Term left, Term right) => left.CompareTo(right) > 0;

    /// <summary>Whether <paramref name="left"/> is not newer.</summary>
    public static bool operator <=(Term left, Term right) => left.CompareTo(right) <= 0;

    /// <summary>Whether <paramref name="left"/> is not older.</summary>
    public static bool operator >=(Term left, Term right) => left.CompareTo(right) >= 0;
}
