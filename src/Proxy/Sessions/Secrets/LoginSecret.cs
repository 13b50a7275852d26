using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Secrets;

/// <summary>What the proxy answers a server's demand for SCRAM-SHA-256 with.</summary>
internal abstract class LoginSecret
{
    /// <summary>The keys to log in with; the caller zeroes them.</summary>
    /// <param name="salt">What the server says of its verifier.</param>
    /// <param name="iterations">Likewise.</param>
    /// <param name="clientKey">Proves who logs in.</param>
    /// <param name="serverKey">Proves the server.</param>
    /// <returns>False: there are none any more.</returns>
    public abstract bool TryKeys(ReadOnlySpan<byte> salt, int iterations, Span<byte> clientKey, Span<byte> serverKey);
}

/// <summary>A password from the configuration.</summary>
internal sealed class PasswordSecret(string password) : LoginSecret
{
    private const int MostIterations = 1_000_000;   // a server could keep the proxy busy for ever

    /// <inheritdoc/>
    public override bool TryKeys(
        ReadOnlySpan<byte> salt, int iterations, Span<byte> clientKey, Span<byte> serverKey)
    {
        if (iterations is < 1 or > MostIterations)
        {
            return false;
        }
        Scram.KeysOf(password, salt, iterations, clientKey, serverKey);
        return true;
    }
}

/// <summary>The client key of a session, found in its login.</summary>
/// <param name="key">Where it is held.</param>
/// <param name="verifier">The verifier that it belongs to.</param>
internal sealed class DerivedSecret(KeyVault.Key key, ScramVerifier verifier) : LoginSecret, IDisposable
{
    /// <inheritdoc/>
    public override bool TryKeys(
        ReadOnlySpan<byte> salt, int iterations, Span<byte> clientKey, Span<byte> serverKey)
    {
        verifier.ServerKey.CopyTo(serverKey);
        return key.TryCopyTo(clientKey);
    }

    /// <inheritdoc/>
    public void Dispose() => key.Dispose();
}
