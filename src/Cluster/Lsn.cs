using System.Globalization;

namespace Routing.Cluster;

/// <summary>A position in the write-ahead log, in bytes from its start.</summary>
/// <remarks>Printed as PostgreSQL prints <c>pg_lsn</c>: two hexadecimal halves, "16/B374D848".</remarks>
/// <param name="Value">Bytes; 0 is PostgreSQL's "invalid" position.</param>
public readonly record struct Lsn(ulong Value) : IComparable<Lsn>
{
    /// <summary>The invalid position, 0/0.</summary>
    public static readonly Lsn Zero;

    /// <summary>Bytes of log that <paramref name="other"/> still lacks; 0 when it lacks none.</summary>
    public ulong BytesAheadOf(Lsn other) => Value > other.Value ? Value - other.Value : 0;

    /// <summary>The later of the two positions.</summary>
    public static Lsn Max(Lsn left, Lsn right) => left.Value >= right.Value ? left : right;

    /// <inheritdoc/>
    public int CompareTo(Lsn other) => Value.CompareTo(other.Value);

    /// <summary>Reads the "X/Y" form.</summary>
    /// <param name="text">Two hexadecimal numbers of at most eight digits, parted by a slash.</param>
    /// <param name="lsn">The position, or 0/0 when the text is not one.</param>
    public static bool TryParse(ReadOnlySpan<char> text, out Lsn lsn)
    {
        lsn = default;
        var slash = text.IndexOf('/');
        if (slash < 0
            || !uint.TryParse(text[..slash], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var high)
            || !uint.TryParse(text[(slash + 1)..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
                out var low))
        {
            return false;
        }
        lsn = new Lsn(((ulong)high << 32) | low);
        return true;
    }

    /// <summary>Reads the "X/Y" form.</summary>
    /// <exception cref="FormatException">The text is not a position.</exception>
    public static Lsn Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out var lsn) ? lsn
            : throw new FormatException($"'{text}' is not a WAL position of the form X/Y.");

    /// <inheritdoc/>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Value >> 32:X}/{Value & 0xFFFF_FFFF:X}");

    /// <summary>Whether <paramref name="left"/> is earlier.</summary>
    public static bool operator <(Lsn left, Lsn right) => left.Value < right.Value;

    /// <summary>Whether <paramref name="left"/> is later.</summary>
    public static bool operator >(Lsn left, Lsn right) => left.Value > right.Value;

    /// <summary>Whether <paramref name="left"/> is not later.</summary>
    public static bool operator <=(Lsn left, Lsn right) => left.Value <= right.Value;

    /// <summary>Whether <paramref name="left"/> is not earlier.</summary>
    public static bool operator >=(Lsn left, Lsn right) => left.Value >= right.Value;
}
