using System.Diagnostics.CodeAnalysis;

namespace System.Collections.Generic;

/// <summary>
/// What .NET 9 brought, as far as these libraries use it: a dictionary that keeps the order of insertion.
/// </summary>
internal sealed class OrderedDictionary<TKey, TValue>(IEqualityComparer<TKey> comparer)
    : IEnumerable<KeyValuePair<TKey, TValue>>
    where TKey : notnull
{
    private readonly Dictionary<TKey, int> _places = new(comparer);
    private readonly List<KeyValuePair<TKey, TValue>> _entries = [];

    public TValue this[TKey key]
    {
        set
        {
            if (_places.TryGetValue(key, out var place))
            {
                _entries[place] = new(_entries[place].Key, value);
                return;
            }
            _places.Add(key, _entries.Count);
            _entries.Add(new(key, value));
        }
    }

    public bool ContainsKey(TKey key) => _places.ContainsKey(key);

    public bool TryGetValue(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        var found = _places.TryGetValue(key, out var place);
        value = found ? _entries[place].Value : default;
        return found;
    }

    public IEnumerator<KeyValuePair<TKey, TValue>> GetEnumerator() => _entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
