using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Secrets;

/// <summary>What a client and a server have said to each other in a SCRAM login that succeeded.</summary>
/// <param name="AuthMessage">The three messages that the proof is about.</param>
/// <param name="Proof">The client's proof.</param>
internal sealed record ScramExchange(byte[] AuthMessage, byte[] Proof);

/// <summary>
/// Listens to a login for a SCRAM exchange without channel binding. What it has heard is zeroed when it is taken.
/// </summary>
internal sealed class ScramObserver
{
    private const int Sasl = 10, SaslContinue = 11;
    private const int Most = 8 * 1024;

    private readonly byte[] _client = new byte[Most];
    private int _length;
    private byte[]? _serverFirst;
    private bool _isOffered;

    /// <summary>Bytes of the client, as they come, from the end of its start-up message on.</summary>
    public void FromClient(ReadOnlySpan<byte> bytes)
    {
        var taken = Math.Min(bytes.Length, Most - _length);   // what comes behind the login may be long
        bytes[..taken].CopyTo(_client.AsSpan(_length));
        _length += taken;
    }

    /// <summary>The body of an authentication message of the server.</summary>
    public void FromServer(ReadOnlySpan<byte> body)
    {
        if (body.Length < sizeof(int))
        {
            return;
        }
        switch (BinaryPrimitives.ReadInt32BigEndian(body))
        {
            case Sasl:
                _isOffered = true;
                break;
            case SaslContinue:
                _serverFirst = body[sizeof(int)..].ToArray();
                break;
        }
    }

    /// <summary>
    /// The exchange; null: there was none that can be used. Called once, when the login has succeeded.
    /// </summary>
    public ScramExchange? Take()
    {
        var exchange =
            _isOffered && _serverFirst is { } first ? Read(_client.AsSpan(0, _length), first) : null;
        CryptographicOperations.ZeroMemory(_client);
        return exchange;
    }

    private static ScramExchange? Read(ReadOnlySpan<byte> client, ReadOnlySpan<byte> serverFirst)
    {
        if (!TryTakePassword(ref client, out var initial) || !TryTakePassword(ref client, out var final))
        {
            return null;
        }
        var name = Encoding.ASCII.GetBytes(Scram.Mechanism + '\0');
        if (!initial.StartsWith(name) || initial.Length < name.Length + sizeof(int))
        {
            return null;   // with channel binding, or another mechanism
        }
        var bare = WithoutHeader(initial[(name.Length + sizeof(int))..]);
        var at = final.LastIndexOf(",p="u8);
        Span<byte> proof = stackalloc byte[Scram.KeyLength];
        if (bare.IsEmpty || at < 0
            || !Convert.TryFromBase64String(Encoding.ASCII.GetString(final[(at + 3)..]), proof, out var length)
            || length != Scram.KeyLength)
        {
            return null;
        }
        return new ScramExchange([.. bare, (byte)',', .. serverFirst, (byte)',', .. final[..at]], proof.ToArray());
    }

    // The client's first message behind its header, which says that nothing is bound and names no other user.
    private static ReadOnlySpan<byte> WithoutHeader(ReadOnlySpan<byte> first) =>
        first.StartsWith("n,,"u8) || first.StartsWith("y,,"u8) ? first[3..] : default;

    private static bool TryTakePassword(ref ReadOnlySpan<byte> client, out ReadOnlySpan<byte> body)
    {
        body = default;
        if (client.Length < ServerMessage.HeaderLength || client[0] != MessageType.Password)
        {
            return false;
        }
        var length = BinaryPrimitives.ReadUInt32BigEndian(client[1..]);
        if (length < sizeof(int) || length > client.Length - 1)
        {
            return false;
        }
        body = client[ServerMessage.HeaderLength..(int)(length + 1)];
        client = client[(int)(length + 1)..];
        return true;
    }
}
