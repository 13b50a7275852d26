using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Secrets;

/// <summary>What a client and a server have said to each other in a login that succeeded.</summary>
internal abstract record LoginExchange;

/// <summary>By SCRAM-SHA-256, without channel binding.</summary>
/// <param name="AuthMessage">The three messages that the proof is about.</param>
/// <param name="Proof">The client's proof.</param>
internal sealed record ScramExchange(byte[] AuthMessage, byte[] Proof) : LoginExchange;

/// <summary>By md5.</summary>
/// <param name="Salt">The server's challenge.</param>
/// <param name="Answer">The digits that the client has answered with.</param>
internal sealed record Md5Exchange(byte[] Salt, byte[] Answer) : LoginExchange;

/// <summary>By the password in clear text.</summary>
/// <param name="Secret">It, held; the receiver's.</param>
internal sealed record PasswordExchange(ToldSecret Secret) : LoginExchange;

/// <summary>
/// Listens to a login for a way to repeat it. What it has heard stands in memory that is not moved, and is zeroed when
/// it is taken.
/// </summary>
/// <param name="passwords">Where a password that was told in clear text is held.</param>
internal sealed class LoginObserver(KeyVault passwords)
{
    private const int Password = 3, Md5 = 5, Sasl = 10, SaslContinue = 11;
    private const int Most = 2 * 1024;

    /// <summary>The longest password that is held: with a longer one a session does not move.</summary>
    public const int LongestPassword = 256;

    private readonly byte[] _client = GC.AllocateUninitializedArray<byte>(Most, pinned: true);
    private int _length;
    private byte[]? _serverFirst;
    private byte[]? _salt;
    private bool _isOffered;
    private bool _isPassword;

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
            case Password:
                _isPassword = true;
                break;
            case Md5:
                _salt = body[sizeof(int)..].ToArray();
                break;
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
    public LoginExchange? Take()
    {
        var client = _client.AsSpan(0, _length);
        LoginExchange? exchange = (_isPassword, _salt, _isOffered) switch
        {
            (true, null, false) => ReadPassword(client),
            (false, { } salt, false) => ReadMd5(client, salt),
            (false, null, true) when _serverFirst is { } first => Read(client, first),
            _ => null,
        };
        CryptographicOperations.ZeroMemory(client);
        return exchange;
    }

    private PasswordExchange? ReadPassword(ReadOnlySpan<byte> client) =>
        TryTakePassword(ref client, out var body) && body is [.. var text, 0] && text.Length <= LongestPassword
            ? new PasswordExchange(new ToldSecret(passwords.Keep(text)))
            : null;

    private static Md5Exchange? ReadMd5(ReadOnlySpan<byte> client, byte[] salt) =>
        TryTakePassword(ref client, out var body) && body.StartsWith(Md5Login.Prefix)
            && body[Md5Login.Prefix.Length..] is [.. var digits, 0] && digits.Length == Md5Login.HashLength
            ? new Md5Exchange(salt, digits.ToArray())
            : null;

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
