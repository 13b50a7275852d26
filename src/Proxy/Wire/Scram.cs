using System.Security.Cryptography;
using System.Text;

namespace Routing.Proxy.Wire;

/// <summary>The arithmetic of SCRAM-SHA-256 (RFC 5802, RFC 7677).</summary>
internal static class Scram
{
    /// <summary>The mechanism's name.</summary>
    public const string Mechanism = "SCRAM-SHA-256";

    /// <summary>Length of keys, proofs and signatures.</summary>
    public const int KeyLength = 32;

    /// <summary>
    /// What proves a client key; and, since the operation undoes itself, the client key that a proof was made with.
    /// </summary>
    /// <param name="keyOrProof">A client key, or a proof.</param>
    /// <param name="storedKey">The stored key of the verifier.</param>
    /// <param name="authMessage">What both sides have said.</param>
    /// <param name="result">Room for <see cref="KeyLength"/> bytes.</param>
    public static void Exchange(
        ReadOnlySpan<byte> keyOrProof, ReadOnlySpan<byte> storedKey, ReadOnlySpan<byte> authMessage, Span<byte> result)
    {
        HMACSHA256.HashData(storedKey, authMessage, result);
        for (var at = 0; at < KeyLength; at++)
        {
            result[at] ^= keyOrProof[at];
        }
    }

    /// <summary>Finds the client key that a proof was made with.</summary>
    /// <returns>False: the proof was not made for this verifier; nothing is left in the room.</returns>
    public static bool TryFindClientKey(
        ReadOnlySpan<byte> proof, ReadOnlySpan<byte> storedKey, ReadOnlySpan<byte> authMessage, Span<byte> clientKey)
    {
        Exchange(proof, storedKey, authMessage, clientKey);
        Span<byte> stored = stackalloc byte[KeyLength];
        SHA256.HashData(clientKey, stored);
        if (CryptographicOperations.FixedTimeEquals(stored, storedKey))
        {
            return true;
        }
        CryptographicOperations.ZeroMemory(clientKey);
        return false;
    }

    /// <summary>The keys of a password; the caller zeroes them.</summary>
    public static void KeysOf(
        string password, ReadOnlySpan<byte> salt, int iterations, Span<byte> clientKey, Span<byte> serverKey)
    {
        Span<byte> salted = stackalloc byte[KeyLength];
        var text = Encoding.UTF8.GetBytes(password);
        Rfc2898DeriveBytes.Pbkdf2(text, salt, salted, iterations, HashAlgorithmName.SHA256);
        HMACSHA256.HashData(salted, "Client Key"u8, clientKey);
        HMACSHA256.HashData(salted, "Server Key"u8, serverKey);
        CryptographicOperations.ZeroMemory(salted);
        CryptographicOperations.ZeroMemory(text);
    }
}

/// <summary>What a server keeps of a password: enough to check a proof, not to make one.</summary>
/// <param name="StoredKey">Checks the client.</param>
/// <param name="ServerKey">Proves the server.</param>
internal sealed record ScramVerifier(byte[] StoredKey, byte[] ServerKey)
{
    /// <summary>Reads <c>SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey</c>; null: it is something else.</summary>
    public static ScramVerifier? Parse(string? text)
    {
        var parts = text?.Split('$');
        if (parts is not [Scram.Mechanism, _, var keys] || keys.Split(':') is not [var stored, var server])
        {
            return null;
        }
        Span<byte> room = stackalloc byte[2 * Scram.KeyLength];
        return Convert.TryFromBase64String(stored, room, out var length) && length == Scram.KeyLength
            && Convert.TryFromBase64String(server, room[Scram.KeyLength..], out length) && length == Scram.KeyLength
            ? new ScramVerifier(room[..Scram.KeyLength].ToArray(), room[Scram.KeyLength..].ToArray())
            : null;
    }
}
