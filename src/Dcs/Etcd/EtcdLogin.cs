using Etcdserverpb;
using Grpc.Core;

namespace Routing.Dcs.Etcd;

/// <summary>User, password and the token that etcd gave for them.</summary>
/// <remarks>The token is valid on every member; it ends by age, by a restart, or when users or roles change.</remarks>
internal sealed class EtcdLogin(EtcdOptions options) : IDisposable
{
    private readonly SemaphoreSlim _one = new(1, 1);
    private volatile string? _token;

    /// <summary>How often a token was asked for.</summary>
    public long Count { get; private set; }

    /// <summary>Whether there is a user to log in.</summary>
    public bool HasUser => options.Username is not null;

    /// <summary>The token to send; empty when none is needed.</summary>
    public async ValueTask<string> TokenAsync(EtcdEndpoint endpoint, CancellationToken cancellationToken)
    {
        if (!HasUser)
        {
            return "";
        }
        if (_token is { } known)
        {
            return known;
        }
        await _one.WaitAsync(cancellationToken);
        try
        {
            return _token ??= await AskAsync(endpoint, cancellationToken);
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Forgets a token that was refused, unless a newer one is here already.</summary>
    public void Forget(string token) => Interlocked.CompareExchange(ref _token, null, token);

    public void Dispose() => _one.Dispose();

    private async Task<string> AskAsync(EtcdEndpoint endpoint, CancellationToken cancellationToken)
    {
        Count++;
        try
        {
            var answer = await endpoint.Auth.AuthenticateAsync(
                new AuthenticateRequest { Name = options.Username, Password = options.Password ?? "" },
                cancellationToken: cancellationToken);
            return answer.Token;
        }
        catch (RpcException none) when (none.Status.Detail.Contains(
            "authentication is not enabled", StringComparison.Ordinal))
        {
            return "";
        }
    }
}
