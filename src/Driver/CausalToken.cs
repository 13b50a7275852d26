using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using NpgsqlTypes;
using Routing.Cluster;

namespace Routing.Driver;

/// <summary>
/// A point in the cluster's history: a read at or after it sees every write that was committed before it was
/// captured.
/// </summary>
/// <remarks>
/// Its text, such as <c>5-16/B374D848</c>, may travel in a cookie or a header. It holds nothing secret.
/// </remarks>
/// <param name="Timeline">
/// The timeline on which it was captured; 0 in <see langword="default"/>, which every member has reached.
/// </param>
/// <param name="Lsn">The position in the write-ahead log.</param>
public readonly record struct CausalToken(uint Timeline, NpgsqlLogSequenceNumber Lsn)
    : IComparable<CausalToken>, ISpanParsable<CausalToken>
{
    /// <summary>Nothing was captured: any member will do.</summary>
    public bool IsEmpty => Timeline == 0;

    /// <summary>The later of two.</summary>
    public static CausalToken Max(CausalToken left, CausalToken right) => left.CompareTo(right) >= 0 ? left : right;

    /// <inheritdoc/>
    public int CompareTo(CausalToken other) =>
        Timeline != other.Timeline ? Timeline.CompareTo(other.Timeline) : Lsn.CompareTo(other.Lsn);

    /// <summary>
    /// The text that <see cref="Parse(string, IFormatProvider?)"/> reads; empty for <see langword="default"/>.
    /// </summary>
    public override string ToString() =>
        IsEmpty ? "" : string.Create(CultureInfo.InvariantCulture, $"{Timeline}-{new Lsn((ulong)Lsn)}");

    /// <summary>Reads the text of a token.</summary>
    /// <exception cref="FormatException">It is not one.</exception>
    public static CausalToken Parse(string s, IFormatProvider? provider = null)
    {
        ArgumentNullException.ThrowIfNull(s);
        return Parse(s.AsSpan(), provider);
    }

    /// <summary>Reads the text of a token.</summary>
    /// <exception cref="FormatException">It is not one.</exception>
    public static CausalToken Parse(ReadOnlySpan<char> s, IFormatProvider? provider = null) =>
        TryParse(s, provider, out var token)
            ? token
            : throw new FormatException($"'{s}' is not a causal token such as 5-16/B374D848.");

    /// <summary>Reads the text of a token; an empty text is an empty token.</summary>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out CausalToken result)
    {
        result = default;
        return s is not null && TryParse(s.AsSpan(), provider, out result);
    }

    /// <summary>Reads the text of a token; an empty text is an empty token.</summary>
    public static bool TryParse(ReadOnlySpan<char> s, IFormatProvider? provider, out CausalToken result)
    {
        result = default;
        if (s.IsEmpty)
        {
            return true;
        }
        var dash = s.IndexOf('-');
        if (dash < 1
            || !uint.TryParse(s[..dash], NumberStyles.None, CultureInfo.InvariantCulture, out var timeline)
            || timeline == 0
            || !Cluster.Lsn.TryParse(s[(dash + 1)..], out var lsn))
        {
            return false;
        }
        result = new CausalToken(timeline, new NpgsqlLogSequenceNumber(lsn.Value));
        return true;
    }

    /// <summary>Whether <paramref name="left"/> is earlier.</summary>
    public static bool operator <(CausalToken left, CausalToken right) => left.CompareTo(right) < 0;

    /// <summary>Whether <paramref name="left"/> is later.</summary>
    public static bool operator >(CausalToken left, CausalToken right) => left.CompareTo(right) > 0;

    /// <summary>Whether <paramref name="left"/> is not later.</summary>
    public static bool operator <=(CausalToken left, CausalToken right) => left.CompareTo(right) <= 0;

    /// <summary>Whether <paramref name="left"/> is not earlier.</summary>
    public static bool operator >=(CausalToken left, CausalToken right) => left.CompareTo(right) >= 0;
}
