namespace Routing.Proxy.Wire;

/// <summary>Walks the names and values of a start-up packet. Never throws.</summary>
internal ref struct StartupParameters
{
    private const int HeaderLength = 8;
    private ReadOnlySpan<byte> _rest;

    /// <summary>Starts ahead of the first parameter.</summary>
    public StartupParameters(ReadOnlySpan<byte> packet)
    {
        _rest = packet.Length > HeaderLength ? packet[HeaderLength..] : default;
    }

    /// <summary>The name that <see cref="TryNext"/> came to.</summary>
    public ReadOnlySpan<byte> Name { get; private set; }

    /// <summary>Its value.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>After the last one: whether the list ended with the packet's last byte, as it must.</summary>
    public readonly bool IsWhole => _rest.Length == 1 && _rest[0] == 0;

    /// <summary>Goes to the next one.</summary>
    public bool TryNext()
    {
        var name = _rest.IndexOf((byte)0);
        if (name <= 0)
        {
            return false;   // the end, or no terminator
        }
        var value = _rest[(name + 1)..].IndexOf((byte)0);
        if (value < 0)
        {
            _rest = default;
            return false;
        }
        Name = _rest[..name];
        Value = _rest.Slice(name + 1, value);
        _rest = _rest[(name + value + 2)..];
        return true;
    }
}
