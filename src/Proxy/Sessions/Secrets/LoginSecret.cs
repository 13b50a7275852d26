using System.Security.Cryptography;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Secrets;

/// <summary>What the proxy answers a demand for a password with; it may know the answer to one way only.</summary>
internal abstract class LoginSecret
{
    /// <summary>The keys to log in with by SCRAM-SHA-256; the caller zeroes them.</summary>
    /// <param name="salt">What the server says of its verifier.</param>
    /// <param name="iterations">Likewise.</param>
    /// <param name="clientKey">Proves who logs in.</param>
    /// <param name="serverKey">Proves the server.</param>
    /// <returns>False: there are none, or none any more.</returns>
    public virtual bool TryKeys(
        ReadOnlySpan<byte> salt, int iterations, Span<byte> clientKey, Span<byte> serverKey) => false;

    /// <summary>The whole message that answers a demand for an md5 hash; null: there is none.</summary>
    /// <param name="salt">The server's.</param>
    public virtual byte[]? AnswerMd5(ReadOnlySpan<byte> salt) => null;

    /// <summary>
    /// The whole message that answers a demand for the password itself, in memory that is not moved; the caller zeroes
    /// it. Null: there is none.
    /// </summary>
    public virtual byte[]? AnswerPassword() => null;
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

/// <summary>What was found in a client's login, and is held for its session.</summary>
internal abstract class HeldSecret(KeyVault.Key key) : LoginSecret, IDisposable
{
    /// <summary>Where it is held.</summary>
    public KeyVault.Key Key => key;

    /// <inheritdoc/>
    public void Dispose() => key.Dispose();
}

/// <summary>The client key of SCRAM.</summary>
/// <param name="key">Where it is held.</param>
/// <param name="verifier">The verifier that it belongs to.</param>
internal sealed class DerivedSecret(KeyVault.Key key, ScramVerifier verifier) : HeldSecret(key)
{
    /// <summary>The verifier that it belongs to.</summary>
    public ScramVerifier Verifier => verifier;

    /// <inheritdoc/>
    public override bool TryKeys(
        ReadOnlySpan<byte> salt, int iterations, Span<byte> clientKey, Span<byte> serverKey)
    {
        verifier.ServerKey.CopyTo(serverKey);
        return Key.TryCopyTo(clientKey);
    }
}

/// <summary>The hash of name and password that md5 logins are made of.</summary>
/// <param name="key">Where its 32 digits are held.</param>
internal sealed class HashSecret(KeyVault.Key key) : HeldSecret(key)
{
    /// <inheritdoc/>
    public override byte[]? AnswerMd5(ReadOnlySpan<byte> salt)
    {
        Span<byte> hash = stackalloc byte[Md5Login.HashLength];
        try
        {
            return Key.TryCopyTo(hash)
                ? PasswordMessage.Of([.. Md5Login.Prefix, .. Md5Login.Answer(hash, salt)])
                : null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(hash);
        }
    }
}

/// <summary>A password that was told in clear text.</summary>
/// <param name="key">Where it is held.</param>
internal sealed class ToldSecret(KeyVault.Key key) : HeldSecret(key)
{
    /// <inheritdoc/>
    public override byte[]? AnswerPassword()
    {
        var message = PasswordMessage.Make(Key.Length);
        return Key.TryCopyTo(message.AsSpan(ServerMessage.HeaderLength)) ? message : null;
    }
}
