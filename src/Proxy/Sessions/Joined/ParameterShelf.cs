namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// Keeps the parameters that servers tell at logins once for all sessions that were told the same. Any thread.
/// </summary>
internal sealed class ParameterShelf
{
    private const int Most = 1_000;   // clients choose some of the values: what is shared must not fill the memory

    private readonly Lock _lock = new();
    private readonly HashSet<byte[]> _all = new(new Bytes());

    /// <summary>The same bytes, shared.</summary>
    public byte[] Share(ReadOnlySpan<byte> messages)
    {
        var own = messages.ToArray();
        lock (_lock)
        {
            if (_all.TryGetValue(own, out var known))
            {
                return known;
            }
            if (_all.Count >= Most)
            {
                _all.Clear();
            }
            _all.Add(own);
            return own;
        }
    }

    private sealed class Bytes : IEqualityComparer<byte[]>
    {
        public bool Equals(byte[]? one, byte[]? other) => one.AsSpan().SequenceEqual(other);

        public int GetHashCode(byte[] bytes)
        {
            var hash = new HashCode();
            hash.AddBytes(bytes);
            return hash.ToHashCode();
        }
    }
}
