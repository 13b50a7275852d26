using System.Security.Cryptography;
using System.Text;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Secrets;

/// <summary>What a server keeps of a user's password.</summary>
internal abstract record Verifier
{
    /// <summary>Reads it, and zeroes what it is read from; null: it is of no known kind, or there is none.</summary>
    /// <param name="text">As <c>pg_authid</c> has it.</param>
    /// <param name="vault">Holds a hash, which logs in by itself.</param>
    public static Verifier? Read(byte[]? text, KeyVault vault)
    {
        if (text is null)
        {
            return null;
        }
        try
        {
            return text.AsSpan().StartsWith(Md5Login.Prefix)
                && text.Length == Md5Login.Prefix.Length + Md5Login.HashLength
                    ? new OfMd5(vault.Keep(text.AsSpan(Md5Login.Prefix.Length)))
                : ScramVerifier.Parse(Encoding.UTF8.GetString(text)) is { } keys ? new OfScram(keys)
                : null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(text);
        }
    }

    /// <summary>Of SCRAM-SHA-256: it checks a proof, and makes none.</summary>
    /// <param name="Keys">Its keys.</param>
    public sealed record OfScram(ScramVerifier Keys) : Verifier;

    /// <summary>The hash of md5.</summary>
    /// <param name="Hash">Its 32 digits, held.</param>
    public sealed record OfMd5(KeyVault.Key Hash) : Verifier;
}
