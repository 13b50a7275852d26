using Etcdserverpb;
using Grpc.Core;

namespace Routing.Dcs.Etcd;

/// <summary>User, password and the token that etcd gave for them.</summary>
/// <remarks>The token is valid on every member; it ends by age, by a restart, or when users or roles change.</remarks>
internal sealed class EtcdLogin(EtcdOptions options) : IDisposable
{
    private readonly SemaphoreSlim _one = new(1, 1);
    private volatile Session _session = new(options.Username, options.Password);

    /// <summary>How often a token was asked for.</summary>
    public long Count { get; private set; }

    /// <summary>Whether there is a user to log in.</summary>
    public bool HasUser => _session.Username is not null;

    /// <summary>Logs in as this user from now on; the token of the former one is not sent any more.</summary>
    public void Use(string? username, string? password)
    {
        var now = _session;
        if (now.Username != username || now.Password != password)
        {
            _session = new Session(username, password);
        }
    }

    /// <summary>The token to send; empty when none is needed.</summary>
    public async ValueTask<string> TokenAsync(EtcdEndpoint endpoint, CancellationToken cancellationToken)
    {
        var known = _session;
        if (known.Username is null || known.Token is not null)
        {
            return known.Token ?? "";
        }
        await _one.WaitAsync(cancellationToken);
        try
        {
            var session = _session;
            return session.Username is null
                ? ""
                : session.Token ??= await AskAsync(endpoint, session, cancellationToken);
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Forgets a token that was refused, unless a newer one is here already.</summary>
    public void Forget(string token) => _session.Forget(token);

    public void Dispose() => _one.Dispose();

    private async Task<string> AskAsync(EtcdEndpoint endpoint, Session session, CancellationToken cancellationToken)
    {
        Count++;
        try
        {
            var answer = await endpoint.Auth.AuthenticateAsync(
                new AuthenticateRequest { Name = session.Username, Password = session.Password ?? "" },
                cancellationToken: cancellationToken);
            return answer.Token;
        }
        catch (RpcException none) when (none.Status.Detail.Contains(
            "authentication is not enabled", StringComparison.Ordinal))
        {
            return "";
        }
    }

    /// <summary>A user and the token that etcd gave for it; a token is never kept for another user.</summary>
    private sealed class Session(string? username, string? password)
    {
        private volatile string? _token;

        public string? Username { get; } = username;

        public string? Password { get; } = password;

        public string? Token
        {
            get => _token;
            set => _token = value;
        }

        public void Forget(string token) => Interlocked.CompareExchange(ref _token, null, token);
    }
}
