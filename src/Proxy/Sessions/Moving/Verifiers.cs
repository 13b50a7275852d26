using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Moving;

/// <summary>
/// Reads the verifiers of users from the members, and finds with them the keys that clients have logged in with. Any
/// thread.
/// </summary>
/// <remarks>
/// A verifier is asked for after the login that wants it, which waits for nothing; all logins of one user share the
/// question and, for a while, its answer. A verifier alone lets nobody in; a key does, and is kept by
/// <see cref="KeyVault"/>.
/// </remarks>
internal sealed partial class Verifiers(SessionHub hub)
{
    private const int Most = 10_000;   // names come from clients, of those alone who have logged in
    private static readonly TimeSpan s_fresh = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_failed = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private long _forgotAt = hub.Time.GetTimestamp();
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    /// <summary>Finds the key behind a login. Never throws.</summary>
    /// <param name="user">The user that has logged in.</param>
    /// <param name="exchange">What was said.</param>
    /// <param name="target">Where: it is asked for the verifier.</param>
    /// <param name="listener">How it is reached.</param>
    /// <returns>Null: it can't be found.</returns>
    public async Task<HeldSecret?> FindKeyAsync(
        string user, LoginExchange exchange, RouteTarget target, ListenerModel listener)
    {
        if (exchange is PasswordExchange { Secret: var told })
        {
            return told;
        }
        var begun = hub.Time.GetTimestamp();
        var entry = Of(user, target, listener, notBefore: 0);
        if (await entry.Verifier is { } known && Derive(known, exchange) is { } secret)
        {
            return secret;
        }
        // A password that was changed since then: asked for once more.
        entry = entry.AskedAt >= begun || hub.Time.GetElapsedTime(entry.AskedAt) < s_failed
            ? entry
            : Of(user, target, listener, notBefore: begun);
        return await entry.Verifier is { } newer ? Derive(newer, exchange) : null;
    }

    private HeldSecret? Derive(Verifier verifier, LoginExchange exchange) => (verifier, exchange) switch
    {
        (Verifier.OfScram { Keys: var keys }, ScramExchange scram) => Derive(keys, scram),
        (Verifier.OfMd5 { Hash: var hash }, Md5Exchange md5) => Derive(hash, md5),
        _ => null,
    };

    private DerivedSecret? Derive(ScramVerifier verifier, ScramExchange exchange)
    {
        Span<byte> key = stackalloc byte[Scram.KeyLength];
        if (!Scram.TryFindClientKey(exchange.Proof, verifier.StoredKey, exchange.AuthMessage, key))
        {
            return null;
        }
        var kept = hub.Keys.Keep(key);
        CryptographicOperations.ZeroMemory(key);
        return new DerivedSecret(kept, verifier);
    }

    private HashSecret? Derive(KeyVault.Key stored, Md5Exchange exchange)
    {
        Span<byte> hash = stackalloc byte[Md5Login.HashLength];
        try
        {
            return stored.TryCopyTo(hash)
                && CryptographicOperations.FixedTimeEquals(Md5Login.Answer(hash, exchange.Salt), exchange.Answer)
                    ? new HashSecret(hub.Keys.Keep(hash))
                    : null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(hash);
        }
    }

    private Entry Of(string user, RouteTarget target, ListenerModel listener, long notBefore)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue(user, out var known) && known.AskedAt >= notBefore && IsFresh(known))
            {
                return known;
            }
            Forget();
            var asking = Task.Run(() => AskAsync(user, target, listener));
            known?.Forget();
            return _entries[user] = new Entry(hub.Time.GetTimestamp(), asking);
        }
    }

    // Once a minute all that are not used any more; and whatever there is when there are too many.
    private void Forget()
    {
        if (_entries.Count >= Most)
        {
            foreach (var entry in _entries.Values)
            {
                entry.Forget();
            }
            _entries.Clear();
        }
        if (hub.Time.GetElapsedTime(_forgotAt) < s_fresh)
        {
            return;
        }
        _forgotAt = hub.Time.GetTimestamp();
        foreach (var (user, entry) in _entries)
        {
            if (!IsFresh(entry))
            {
                entry.Forget();
                _entries.Remove(user);
            }
        }
    }

    private bool IsFresh(Entry entry)
    {
        var age = hub.Time.GetElapsedTime(entry.AskedAt);
        return !entry.Verifier.IsCompleted || age < (entry.Verifier.Result is null ? s_failed : s_fresh);
    }

    private async Task<Verifier?> AskAsync(string user, RouteTarget target, ListenerModel listener)
    {
        var settings = hub.Settings;
        if (settings.AuthQuery is not { } query)
        {
            return null;
        }
        using var limit = new CancellationTokenSource(settings.ConnectTimeout + settings.AnswerTimeout * 2, hub.Time);
        try
        {
            var dialled = await Dialer.DialAsync(
                hub.Transport, target, null, listener.Config.MemberTuning, hub.Time, limit.Token);
            await using var abort =
                limit.Token.UnsafeRegister(static state => ((ITransportConnection)state!).Abort(), dialled);
            await new LoopSwitch(dialled);
            try
            {
                return await AskAsync(dialled, query, user, target, listener);
            }
            finally
            {
                await dialled.DisposeAsync();
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error) || error is InvalidDataException)
        {
            LogFailed(target.Member, limit.IsCancellationRequested ? "no answer in time" : error.Message);
            return null;
        }
        catch (Exception error)
        {
            LogFault(error);
            return null;
        }
    }

    private async ValueTask<Verifier?> AskAsync(
        ITransportConnection server, AuthQuery query, string user, RouteTarget target, ListenerModel listener)
    {
        if (listener.Config.ProxyProtocolToMember is not ProxyProtocolVersion.None and var version)
        {
            server.Output.Write(ProxyHeader.Write(version, null, null));
        }
        if (listener.MemberTls is { } tls)
        {
            var (encrypted, failure) = await tls.ConnectAsync(server, target.HostName);
            server = failure is null ? encrypted! : throw new IOException(failure.SentenceOf(target.Member));
        }
        server.Output.Write(StartupOf(query));
        await server.Output.FlushAsync();
        var login = new OwnLogin(
            server, mustBePrimary: false, query.Password is { } password ? new PasswordSecret(password) : null);
        var end = await login.RunAsync();
        if (end != OwnLoginEnd.Ready)
        {
            throw new IOException($"the login of the role of auth_query ended with {login.Code ?? Words.Of(end)}");
        }
        server.Output.Write(VerifierQuestion.Of(user));
        await server.Output.FlushAsync();
        while (true)
        {
            var result = await server.Input.ReadAsync();
            var isThere = VerifierQuestion.TryRead(result.Buffer, out var text);
            server.Input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            if (isThere)
            {
                return Verifier.Read(text, hub.Keys);
            }
            if (result.IsCompleted)
            {
                throw new IOException("the connection was lost");
            }
        }
    }

    private static byte[] StartupOf(AuthQuery query)
    {
        var parameters = Encoding.UTF8.GetBytes(
            $"user\0{query.User}\0database\0{query.Database}\0application_name\0routing-proxy\0\0");
        var packet = new byte[2 * sizeof(int) + parameters.Length];
        BinaryPrimitives.WriteInt32BigEndian(packet, packet.Length);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(sizeof(int)), 3 << 16);
        parameters.CopyTo(packet.AsSpan(2 * sizeof(int)));
        return packet;
    }

    [LoggerMessage(EventId = 6014, Level = LogLevel.Warning,
        Message = "The verifier of a user could not be read at {Member}, so its sessions do not move: {Problem}")]
    private static partial void LogFailed(ILogger logger, string member, string problem);

    [LoggerMessage(EventId = 6015, Level = LogLevel.Error,
        Message = "The verifier of a user could not be read: a fault of this program")]
    private static partial void LogFault(ILogger logger, Exception error);

    private void LogFailed(string member, string problem) => LogFailed(hub.Logger, member, problem);

    private void LogFault(Exception error) => LogFault(hub.Logger, error);

    private sealed record Entry(long AskedAt, Task<Verifier?> Verifier)
    {
        // A hash logs in by itself: it is zeroed when it is used no more. A login that still waits for it asks again.
        public void Forget() => Verifier.ContinueWith(
            static asked => (asked.Result as Verifier.OfMd5)?.Hash.Dispose(), CancellationToken.None,
            TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
    }
}
