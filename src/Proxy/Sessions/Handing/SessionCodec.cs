using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Routing.Cluster;
using Routing.Proxy.Members;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Handing;

/// <summary>Writes and reads what one process hands to another to go on with a session.</summary>
/// <remarks>
/// The first field is the number of the format. A process refuses a format that it does not know, and the other one
/// keeps the session: a change of what is written here, or of what it means, is a new number.
/// </remarks>
internal static class SessionCodec
{
    /// <summary>The format that is written, and the only one that is read.</summary>
    public const int Format = 1;

    private enum Secret : byte
    {
        None,
        ScramKey,
        Md5Hash,
        Password,
    }

    /// <summary>Writes it, without the descriptors.</summary>
    public static void Write(SecretWriter to, SessionParcel session)
    {
        to.Int(Format);
        to.Text(session.Listener);
        WriteOptional(to, session.User);
        WriteTarget(to, session.Target);
        to.Boolean(session.IsReplication);
        WriteKey(to, session.Key);
        WriteKey(to, session.ServerKey);
        to.Boolean(session.Tap is not null);
        if (session.Tap is { } tap)
        {
            WriteTap(to, tap);
        }
        to.Boolean(session.Login is not null);
        if (session.Login is { } login)
        {
            to.Bytes(login.Packet);
            to.Bytes(login.Parameters);
            WritePoint(to, login.Source);
            WritePoint(to, login.Destination);
            WriteSecret(to, login.Secret);
        }
        to.Boolean(session.HasToldMore);
        to.Bytes(session.Client.Unread.Span);
        to.Bytes(session.Server.Unread.Span);
    }

    /// <summary>Reads it.</summary>
    /// <param name="bytes">What was written.</param>
    /// <param name="client">The client's socket, in this process.</param>
    /// <param name="server">The server's.</param>
    /// <param name="hub">Holds secrets, and shares what sessions have in common.</param>
    /// <returns>Null: the format is not known.</returns>
    /// <exception cref="InvalidDataException">It is none.</exception>
    public static SessionParcel? Read(ReadOnlySpan<byte> bytes, int client, int server, SessionHub hub)
    {
        var from = new FieldReader(bytes);
        if (from.Int() != Format)
        {
            return null;
        }
        var parcel = new SessionParcel
        {
            Listener = from.Text(),
            User = from.Boolean() ? from.Text() : null,
            Target = ReadTarget(ref from),
            IsReplication = from.Boolean(),
            Key = ReadKey(ref from),
            ServerKey = ReadKey(ref from),
            Tap = from.Boolean() ? ReadTap(ref from) : null,
            Login = from.Boolean() ? ReadLogin(ref from, hub) : null,
            HasToldMore = from.Boolean(),
            Client = new SharedSocket(client, from.Bytes().ToArray()),
            Server = new SharedSocket(server, from.Bytes().ToArray()),
        };
        if (!from.IsAtEnd)
        {
            parcel.Login?.Dispose();
            throw new InvalidDataException("Something stands behind the last field.");
        }
        return parcel;
    }

    private static void WriteOptional(SecretWriter to, string? text)
    {
        to.Boolean(text is not null);
        if (text is not null)
        {
            to.Text(text);
        }
    }

    private static void WriteTarget(SecretWriter to, RouteTarget target)
    {
        to.Text(target.Member);
        to.Text(target.HostName);
        to.Long(target.Term.Revision);
        to.Int(target.Term.Life);
        to.Boolean(target.MustBePrimary);
        to.Int(target.Addresses.Length);
        foreach (var address in target.Addresses)
        {
            WritePoint(to, address);
        }
    }

    private static RouteTarget ReadTarget(ref FieldReader from)
    {
        var (member, host) = (from.Text(), from.Text());
        var term = new Term(from.Long(), from.Int());
        var mustBePrimary = from.Boolean();
        var addresses = ImmutableArray.CreateBuilder<EndPoint>();
        for (var left = from.Int(); left > 0; left--)
        {
            addresses.Add(ReadPoint(ref from) ?? throw new InvalidDataException("An address is missing."));
        }
        return new RouteTarget(member, addresses.ToImmutable(), host, term, mustBePrimary);
    }

    private static void WritePoint(SecretWriter to, EndPoint? point)
    {
        switch (point)
        {
            case IPEndPoint tcp:
                to.Byte(1);
                to.Bytes(tcp.Address.GetAddressBytes());
                to.Long(tcp.Address.AddressFamily == AddressFamily.InterNetworkV6 ? tcp.Address.ScopeId : 0);
                to.Int(tcp.Port);
                break;
            case UnixDomainSocketEndPoint path:
                to.Byte(2);
                to.Text(path.ToString());
                break;
            default:
                to.Byte(0);
                break;
        }
    }

    private static EndPoint? ReadPoint(ref FieldReader from)
    {
        switch (from.Byte())
        {
            case 0:
                return null;
            case 1:
                var bytes = from.Bytes();
                if (bytes.Length is not (4 or 16))
                {
                    throw new InvalidDataException("An address is neither of IPv4 nor of IPv6.");
                }
                var scope = from.Long();
                return new IPEndPoint(
                    bytes.Length == 16 ? new IPAddress(bytes, scope) : new IPAddress(bytes), from.Int());
            case 2:
                return new UnixDomainSocketEndPoint(from.Text());
            default:
                throw new InvalidDataException("An address is of no known kind.");
        }
    }

    private static void WriteKey(SecretWriter to, BackendKey? key)
    {
        to.Boolean(key is not null);
        if (key is { } known)
        {
            to.Int(known.Pid);
            known.CopySecretTo(to.Place(known.SecretLength));
        }
    }

    private static BackendKey? ReadKey(ref FieldReader from)
    {
        if (!from.Boolean())
        {
            return null;
        }
        var pid = from.Int();
        var secret = from.Bytes();
        return secret.Length is >= BackendKey.MinimumSecretLength and <= BackendKey.MaximumSecretLength
            ? new BackendKey(pid, secret)
            : throw new InvalidDataException("A key has an impossible length.");
    }

    private static void WriteTap(SecretWriter to, in TapState tap)
    {
        to.Byte(tap.ClientMessage);
        to.Byte(tap.ServerMessage);
        to.Byte(tap.Status);
        to.Byte(tap.Discard);
        to.Int((int)tap.Flags);
        to.Int(tap.Outstanding);
        to.Int(tap.BehindCopy);
        to.Boolean(tap.Statements.IsUnbound);
        to.Boolean(tap.Statements.MayCommit);
        to.Boolean(tap.Statements.UnnamedCommits);
        to.Boolean(tap.Statements.ManyCommit);
        to.Boolean(tap.Statements.EveryExecute);
        to.Int((int)tap.Statements.Committing);
    }

    private static TapState ReadTap(ref FieldReader from)
    {
        var tap = new TapState
        {
            ClientMessage = from.Byte(),
            ServerMessage = from.Byte(),
            Status = from.Byte(),
            Discard = from.Byte(),
            Flags = (TapFlags)from.Int(),
            Outstanding = from.Int(),
            BehindCopy = from.Int(),
            Statements = new StatementMemory(
                from.Boolean(), from.Boolean(), from.Boolean(), from.Boolean(), from.Boolean(), (uint)from.Int()),
        };
        return (tap.Flags & ~TapFlags.All) == 0
            ? tap
            : throw new InvalidDataException("Something is known of a session that has no meaning here.");
    }

    private static void WriteSecret(SecretWriter to, LoginSecret? secret)
    {
        var kind = secret switch
        {
            DerivedSecret => Secret.ScramKey,
            HashSecret => Secret.Md5Hash,
            ToldSecret => Secret.Password,
            _ => Secret.None,
        };
        to.Byte((byte)kind);
        if (secret is not HeldSecret held)
        {
            return;
        }
        var place = to.Place(held.Key.Length);
        if (!held.Key.TryCopyTo(place))
        {
            place.Clear();   // its session has ended, which the other process finds out by itself
        }
        if (held is DerivedSecret derived)
        {
            to.Bytes(derived.Verifier.StoredKey);
            to.Bytes(derived.Verifier.ServerKey);
        }
    }

    private static RepeatableLogin ReadLogin(ref FieldReader from, SessionHub hub)
    {
        var login = new RepeatableLogin(
            from.Bytes().ToArray(), hub.Parameters.Share(from.Bytes()), ReadPoint(ref from) as IPEndPoint,
            ReadPoint(ref from));
        var kind = (Secret)from.Byte();
        if (kind == Secret.None)
        {
            return login;
        }
        HeldSecret held = kind switch
        {
            Secret.ScramKey => new DerivedSecret(
                hub.Keys.Keep(ReadSecret(ref from, Scram.KeyLength)),
                new ScramVerifier(
                    ReadSecret(ref from, Scram.KeyLength).ToArray(), ReadSecret(ref from, Scram.KeyLength).ToArray())),
            Secret.Md5Hash => new HashSecret(hub.Keys.Keep(ReadSecret(ref from, Md5Login.HashLength))),
            Secret.Password => new ToldSecret(hub.Passwords.Keep(ReadSecret(ref from, null))),
            _ => throw new InvalidDataException("A secret is of no known kind."),
        };
        _ = login.TryLearn(held);
        return login;
    }

    // Null: as long as a password may be.
    private static ReadOnlySpan<byte> ReadSecret(ref FieldReader from, int? length)
    {
        var secret = from.Bytes();
        return (length is null ? secret.Length <= LoginObserver.LongestPassword : secret.Length == length)
            ? secret
            : throw new InvalidDataException("A secret has an impossible length.");
    }
}
