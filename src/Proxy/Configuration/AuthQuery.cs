namespace Routing.Proxy.Configuration;

/// <summary>How the proxy reads the verifiers of users: by a function that a role of its own may call.</summary>
/// <param name="User">The role.</param>
/// <param name="Password">Its password, for SCRAM; null: its login needs none.</param>
/// <param name="Database">The database with the function.</param>
internal sealed record AuthQuery(string User, string? Password, string Database)
{
    /// <inheritdoc/>
    public override string ToString() => $"{User} at {Database}";   // never the password
}
