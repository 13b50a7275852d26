using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Secrets;

/// <summary>The client's side of one SCRAM-SHA-256 exchange, without channel binding.</summary>
internal sealed class ScramClient(LoginSecret secret)
{
    private const string BoundToNothing = "biws";   // base64 of the header "n,,"

    private readonly string _nonce = Convert.ToBase64String(RandomNumberGenerator.GetBytes(18));
    private readonly byte[] _serverSignature = new byte[Scram.KeyLength];
    private bool _hasProved;

    /// <summary>The server has proved that it knows the verifier.</summary>
    public bool IsServerProved { get; private set; }

    private string Bare => $"n=,r={_nonce}";   // the start-up message names the user

    /// <summary>Whether a server offers the mechanism.</summary>
    /// <param name="offer">The body of AuthenticationSASL behind its code.</param>
    public static bool IsOffered(ReadOnlySpan<byte> offer) =>
        Encoding.ASCII.GetString(offer).Split('\0').Contains(Scram.Mechanism);

    /// <summary>The whole first message.</summary>
    public byte[] First()
    {
        var text = Encoding.ASCII.GetBytes($"n,,{Bare}");
        byte[] body = [.. Encoding.ASCII.GetBytes(Scram.Mechanism), 0, 0, 0, 0, 0, .. text];
        BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(Scram.Mechanism.Length + 1), text.Length);
        return Message(body);
    }

    /// <summary>The whole message that answers a server's first; null: the server broke the protocol.</summary>
    /// <param name="serverFirst">The body of AuthenticationSASLContinue behind its code.</param>
    public byte[]? Answer(ReadOnlySpan<byte> serverFirst)
    {
        var first = Encoding.ASCII.GetString(serverFirst);
        if (_hasProved || first.Split(',') is not [['r', '=', .. var nonce], ['s', '=', .. var salt64],
            ['i', '=', .. var iterations], ..]
            || !nonce.StartsWith(_nonce, StringComparison.Ordinal) || nonce.Length == _nonce.Length
            || !int.TryParse(iterations, out var rounds))
        {
            return null;
        }
        byte[] salt;
        try
        {
            salt = Convert.FromBase64String(salt64);
        }
        catch (FormatException)
        {
            return null;
        }
        Span<byte> clientKey = stackalloc byte[Scram.KeyLength];
        Span<byte> serverKey = stackalloc byte[Scram.KeyLength];
        Span<byte> storedKey = stackalloc byte[Scram.KeyLength];
        Span<byte> proof = stackalloc byte[Scram.KeyLength];
        try
        {
            if (!secret.TryKeys(salt, rounds, clientKey, serverKey))
            {
                return null;
            }
            var withoutProof = $"c={BoundToNothing},r={nonce}";
            var authMessage = Encoding.ASCII.GetBytes($"{Bare},{first},{withoutProof}");
            SHA256.HashData(clientKey, storedKey);
            Scram.Exchange(clientKey, storedKey, authMessage, proof);
            HMACSHA256.HashData(serverKey, authMessage, _serverSignature);
            _hasProved = true;
            return Message(Encoding.ASCII.GetBytes($"{withoutProof},p={Convert.ToBase64String(proof)}"));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(clientKey);
            CryptographicOperations.ZeroMemory(serverKey);
        }
    }

    /// <summary>Checks a server's last message.</summary>
    /// <param name="serverFinal">The body of AuthenticationSASLFinal behind its code.</param>
    public void Check(ReadOnlySpan<byte> serverFinal)
    {
        Span<byte> signature = stackalloc byte[Scram.KeyLength];
        IsServerProved = _hasProved && serverFinal.StartsWith("v="u8)
            && Convert.TryFromBase64String(Encoding.ASCII.GetString(serverFinal[2..]), signature, out var length)
            && length == Scram.KeyLength && CryptographicOperations.FixedTimeEquals(signature, _serverSignature);
    }

    private static byte[] Message(ReadOnlySpan<byte> body)
    {
        var message = new byte[ServerMessage.HeaderLength + body.Length];
        message[0] = MessageType.Password;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), message.Length - 1);
        body.CopyTo(message.AsSpan(ServerMessage.HeaderLength));
        return message;
    }
}
