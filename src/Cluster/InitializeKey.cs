namespace Routing.Cluster;

/// <summary>The <c>initialize</c> key: which database system this cluster is.</summary>
/// <param name="Value">Null: no key. Empty: a member bootstraps right now. Else the system identifier.</param>
public readonly record struct InitializeKey(string? Value)
{
    /// <summary>The revision that wrote the value; 0 without a key.</summary>
    public long ModRevision { get; init; }

    /// <summary>The lease that the key hangs on; 0 for none.</summary>
    public long LeaseId { get; init; }

    /// <summary>No member has initialised this scope, or begun to.</summary>
    public bool IsMissing => Value is null;

    /// <summary>A member is bootstrapping.</summary>
    public bool IsInProgress => Value is { Length: 0 };

    /// <summary>The system identifier, when the value is one: digits only, at least ten.</summary>
    public string? SystemId =>
        Value is { Length: >= 10 } value && !value.AsSpan().ContainsAnyExceptInRange('0', '9') ? value : null;
}
