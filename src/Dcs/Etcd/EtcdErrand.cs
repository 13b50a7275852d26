using Grpc.Core;

namespace Routing.Dcs.Etcd;

/// <summary>
/// Work beside the requests of a store: one run at a time, which asks endpoints of its choice and ends with the store.
/// </summary>
internal sealed class EtcdErrand(EtcdClient client) : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);   // with one endpoint

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Task _running = Task.CompletedTask;

    /// <summary>Cancelled when the store is disposed of.</summary>
    public CancellationToken Stopped => _stop.Token;

    /// <summary>Whether a question was not answered, for a reason that a run bears: the next run asks again.</summary>
    public static bool IsNoAnswer(Exception problem) =>
        problem is RpcException or OperationCanceledException or ClusterStoreException
            || EtcdFailure.IsOfTransport(problem);

    /// <summary>Starts a run, unless one is under way.</summary>
    /// <param name="run">The run. It does not throw.</param>
    /// <param name="isDue">Whether it shall start; asked only when it could. Null: it shall.</param>
    public void Begin(Func<Task> run, Func<bool>? isDue = null)
    {
        lock (_gate)
        {
            if (_running.IsCompleted && !_stop.IsCancellationRequested && isDue?.Invoke() != false)
            {
                _running = run();
            }
        }
    }

    /// <summary>Sends one request to one endpoint, once, and waits a second for the answer.</summary>
    /// <exception cref="RpcException">It was refused, or not answered.</exception>
    /// <exception cref="OperationCanceledException">The time is over, or the store is disposed of.</exception>
    /// <exception cref="ClusterStoreException">The login was refused.</exception>
    public async Task<T> AskAsync<T>(EtcdEndpoint endpoint, Func<CallOptions, AsyncUnaryCall<T>> request)
    {
        using var limit = new CancellationTokenSource(s_patience, client.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stop.Token);
        var token = await client.Login.TokenAsync(endpoint, either.Token);
        try
        {
            return await request(new CallOptions(EtcdClient.Headers(token), cancellationToken: either.Token));
        }
        catch (RpcException problem) when (EtcdFailure.Of(problem).Kind == EtcdFailureKind.NeedsLogin)
        {
            client.Login.Forget(token);   // a store that was set up anew does not know it
            throw;
        }
    }

    /// <summary>Ends the run that is under way.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }
}
