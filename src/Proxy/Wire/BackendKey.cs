using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Routing.Proxy.Wire;

/// <summary>
/// The pid and the secret by which a session may be cancelled, as BackendKeyData announced them. Never logged.
/// </summary>
/// <remarks>A secret of 4 bytes, which nearly all have, is kept without an array.</remarks>
internal readonly struct BackendKey
{
    /// <summary>Shortest secret: protocol 3.0.</summary>
    public const int MinimumSecretLength = 4;

    /// <summary>Longest secret that protocol 3.2 allows.</summary>
    public const int MaximumSecretLength = 256;

    private readonly byte[]? _long;
    private readonly int _short;

    /// <summary>Takes a copy of the secret.</summary>
    public BackendKey(int pid, ReadOnlySpan<byte> secret)
    {
        Pid = pid;
        if (secret.Length == sizeof(int))
        {
            _short = BinaryPrimitives.ReadInt32BigEndian(secret);
        }
        else
        {
            _long = secret.ToArray();
        }
    }

    /// <summary>The backend's process id; several members may have the same.</summary>
    public int Pid { get; }

    /// <summary>How long the secret is.</summary>
    public int SecretLength => _long?.Length ?? sizeof(int);

    /// <summary>Writes the secret, for a cancel request.</summary>
    public void CopySecretTo(Span<byte> to)
    {
        Span<byte> room = stackalloc byte[sizeof(int)];
        Secret(room).CopyTo(to);
    }

    /// <summary>Whether both name the same session; takes the same time whatever the secrets are.</summary>
    public bool Matches(in BackendKey other)
    {
        Span<byte> mine = stackalloc byte[sizeof(int)];
        Span<byte> others = stackalloc byte[sizeof(int)];
        return Pid == other.Pid && CryptographicOperations.FixedTimeEquals(Secret(mine), other.Secret(others));
    }

    /// <summary>Reads the body of a BackendKeyData message.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, out BackendKey key)
    {
        var secret = body.Length - sizeof(int);
        if (secret is < MinimumSecretLength or > MaximumSecretLength)
        {
            key = default;
            return false;
        }
        key = new BackendKey(BinaryPrimitives.ReadInt32BigEndian(body), body[sizeof(int)..]);
        return true;
    }

    private ReadOnlySpan<byte> Secret(Span<byte> room)
    {
        if (_long is not null)
        {
            return _long;
        }
        BinaryPrimitives.WriteInt32BigEndian(room, _short);
        return room;
    }
}
