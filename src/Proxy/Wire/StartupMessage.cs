using System.Buffers.Binary;
using System.Text;

namespace Routing.Proxy.Wire;

/// <summary>What a start-up message says that matters for routing; the message itself is relayed as it came.</summary>
internal sealed record StartupMessage
{
    private const int HeaderLength = 8;

    /// <summary>Major version in the upper, minor in the lower half: 3.0 is 196608.</summary>
    public required int Protocol { get; init; }

    /// <summary>The name of the user that logs in.</summary>
    public required string User { get; init; }

    /// <summary>The database; the user's name where it is left out.</summary>
    public required string Database { get; init; }

    /// <summary>The name that the application gave itself, or null.</summary>
    public string? ApplicationName { get; init; }

    /// <summary>Command-line style options, or null.</summary>
    public string? Options { get; init; }

    /// <summary>Whether this is to be a replication connection.</summary>
    public ReplicationKind Replication { get; init; }

    /// <summary>Reads a whole packet. Never throws.</summary>
    /// <param name="packet">The packet, length first.</param>
    /// <param name="message">What it says, or null.</param>
    /// <param name="fault">What is wrong with it, for the client; null when nothing is.</param>
    public static bool TryRead(ReadOnlySpan<byte> packet, out StartupMessage? message, out StartupFault? fault)
    {
        message = null;
        fault = null;
        string? user = null, database = null, applicationName = null, options = null;
        var replication = ReplicationKind.None;
        var parameters = new StartupParameters(packet);
        while (parameters.TryNext())
        {
            if (parameters.Name.SequenceEqual("user"u8))
            {
                user = Encoding.UTF8.GetString(parameters.Value);
            }
            else if (parameters.Name.SequenceEqual("database"u8))
            {
                database = Encoding.UTF8.GetString(parameters.Value);
            }
            else if (parameters.Name.SequenceEqual("application_name"u8))
            {
                applicationName = Encoding.UTF8.GetString(parameters.Value);
            }
            else if (parameters.Name.SequenceEqual("options"u8))
            {
                options = Encoding.UTF8.GetString(parameters.Value);
            }
            else if (parameters.Name.SequenceEqual("replication"u8)
                && !TryReadReplication(parameters.Value, out replication))
            {
                fault = new(SqlState.InvalidParameterValue,
                    $"invalid value for parameter \"replication\": \"{Encoding.UTF8.GetString(parameters.Value)}\"; "
                        + "it must be a Boolean or \"database\"");
                return false;
            }
        }
        fault = !parameters.IsWhole
            ? new(SqlState.ProtocolViolation,
                "The start-up packet is malformed: its last byte must end its list of parameters.")
            : string.IsNullOrEmpty(user) ? new(SqlState.InvalidAuthorization, "The start-up packet names no user.")
            : null;
        if (fault is not null)
        {
            return false;
        }
        message = new StartupMessage
        {
            Protocol = BinaryPrimitives.ReadInt32BigEndian(packet[sizeof(int)..]),
            User = user!,
            Database = string.IsNullOrEmpty(database) ? user! : database,
            ApplicationName = applicationName,
            Options = options,
            Replication = replication,
        };
        return true;
    }

    /// <summary>
    /// The packet with an address behind its application name (which is cut so that both fit), or with the address as
    /// its name; all other parameters keep their bytes and their order. The packet itself when it would grow too long.
    /// </summary>
    /// <param name="packet">A packet that <see cref="TryRead"/> accepted.</param>
    /// <param name="address">Such as <c>10.0.0.7:5123</c>.</param>
    public static byte[] WithClientAddress(ReadOnlySpan<byte> packet, string address)
    {
        var suffix = Encoding.UTF8.GetBytes($"[{address}]");
        var grown = new byte[packet.Length + "application_name"u8.Length + suffix.Length + 3];
        packet[..HeaderLength].CopyTo(grown);
        var length = HeaderLength;
        var isNamed = false;
        var parameters = new StartupParameters(packet);
        while (parameters.TryNext())
        {
            length += Append(grown.AsSpan(length), parameters.Name);
            if (parameters.Name.SequenceEqual("application_name"u8))
            {
                isNamed = true;
                length += AppendName(grown.AsSpan(length), parameters.Value, suffix);
            }
            else
            {
                length += Append(grown.AsSpan(length), parameters.Value);
            }
        }
        if (!isNamed)
        {
            length += Append(grown.AsSpan(length), "application_name"u8);
            length += Append(grown.AsSpan(length), suffix);
        }
        length++;   // the list's end: a zero, as the array is
        if (length > FirstPacket.MaximumLength)
        {
            return packet.ToArray();
        }
        BinaryPrimitives.WriteInt32BigEndian(grown, length);
        return grown.AsSpan(0, length).ToArray();
    }

    private static int AppendName(Span<byte> to, ReadOnlySpan<byte> name, ReadOnlySpan<byte> suffix)
    {
        const int NameLimit = 63;   // the server cuts what is longer
        var kept = Math.Max(0, Math.Min(name.Length, NameLimit - suffix.Length - 1));
        while (kept > 0 && kept < name.Length && (name[kept] & 0xC0) == 0x80)
        {
            kept--;   // no half character of UTF-8
        }
        name[..kept].CopyTo(to);
        if (kept > 0)
        {
            to[kept++] = (byte)' ';
        }
        return kept + Append(to[kept..], suffix);
    }

    private static int Append(Span<byte> to, ReadOnlySpan<byte> text)
    {
        text.CopyTo(to);
        to[text.Length] = 0;
        return text.Length + 1;
    }

    // The server's rule: "database", or anything that its parser of Booleans takes.
    private static bool TryReadReplication(ReadOnlySpan<byte> value, out ReplicationKind kind)
    {
        Span<char> text = stackalloc char[9];
        kind = ReplicationKind.None;
        if (value.Length is 0 || value.Length >= text.Length)
        {
            return false;
        }
        for (var i = 0; i < value.Length; i++)
        {
            text[i] = char.ToLowerInvariant((char)value[i]);
        }
        text = text[..value.Length];
        kind = text is "database" ? ReplicationKind.Logical
            : IsPrefixOf(text, "true", 1) || IsPrefixOf(text, "yes", 1) || text is "on" or "1"
                ? ReplicationKind.Physical
            : ReplicationKind.None;
        return kind != ReplicationKind.None
            || IsPrefixOf(text, "false", 1) || IsPrefixOf(text, "no", 1) || IsPrefixOf(text, "off", 2) || text is "0";
    }

    private static bool IsPrefixOf(ReadOnlySpan<char> text, ReadOnlySpan<char> word, int atLeast) =>
        text.Length >= atLeast && word.StartsWith(text);
}
