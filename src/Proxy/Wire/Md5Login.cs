using System.Security.Cryptography;
using System.Text;

namespace Routing.Proxy.Wire;

/// <summary>The arithmetic of md5 logins: a hash of the password and the name, hashed with a salt.</summary>
internal static class Md5Login
{
    /// <summary>Digits of a hash.</summary>
    public const int HashLength = 32;

    /// <summary>Stands ahead of hashes, in <c>pg_authid</c> and in answers.</summary>
    public static ReadOnlySpan<byte> Prefix => "md5"u8;

    /// <summary>The digits that answer a challenge.</summary>
    /// <param name="hash">The digits of the hash that the server keeps.</param>
    /// <param name="salt">The challenge.</param>
#pragma warning disable CA5351 // the server's protocol, not a choice
    public static byte[] Answer(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> salt)
    {
        Span<byte> text = stackalloc byte[HashLength + sizeof(int)];
        hash.CopyTo(text);
        salt.CopyTo(text[HashLength..]);
        var answer = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(MD5.HashData(text)));
        CryptographicOperations.ZeroMemory(text);
        return answer;
    }
#pragma warning restore CA5351
}
