
namespace Routing.Driver.Members;

/// <summary>The changes of the database's types that are known; the newest counts.</summary>
internal sealed class TypeChanges
{
    private readonly Lock _gate = new();
    private volatile TypeChange? _newest;

    /// <summary>The newest change; null: none is known since the pools were made.</summary>
    public TypeChange? Newest => _newest;

    /// <summary>The number of the newest change; 0: none.</summary>
    public int Version => _newest?.Version ?? 0;

    /// <summary>A change happened.</summary>
    /// <param name="position">Where it stands in the log; null: not known yet.</param>
    /// <returns>Its number.</returns>
    public int Advance(CausalToken? position)
    {
        lock (_gate)
        {
            _newest = new TypeChange(Version + 1) { Position = position };
            return _newest.Version;
        }
    }
}

/// <summary>A change of the database's types.</summary>
internal sealed class TypeChange(int version)
{
    private volatile object? _position;

    /// <summary>Its number: later ones are greater.</summary>
    public int Version => version;

    /// <summary>Where it stands in the log, at the latest; null: not known yet.</summary>
    public CausalToken? Position
    {
        get => (CausalToken?)_position;
        set => _position = value;
    }
}
