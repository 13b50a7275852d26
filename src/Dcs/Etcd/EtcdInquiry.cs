using Etcdserverpb;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Routing.Dcs.Etcd;

/// <summary>
/// Asks every endpoint, once an answer did not fit, until the store that is followed answers or another life has begun.
/// </summary>
/// <remarks>
/// A single member that is behind is found out by the others; a store that is another is one at every endpoint that
/// answers, for as long as <see cref="EtcdLives.Doubt"/>. Only linearizable answers count: each needs a majority behind
/// it.
/// </remarks>
internal sealed partial class EtcdInquiry(EtcdClient client, RangeRequest question, ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(200);

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Task _running = Task.CompletedTask;

    /// <summary>Called after an answer that is not believed.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            if (_running.IsCompleted && !_stop.IsCancellationRequested)
            {
                _running = InquireAsync();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task InquireAsync()
    {
        try
        {
            while (client.Lives.IsInDoubt)
            {
                var problems = await Task.WhenAll(client.Endpoints.All.Select(AskAsync));
                if (!client.Lives.IsInDoubt || problems.All(problem => problem is null))
                {
                    return;   // the old life answered; or no endpoint did: the next answer begins the inquiry anew
                }
                if (client.Lives.TryBegin() is { } life)
                {
                    LogNewLife(problems.First(problem => problem is not null)!, life.Number);
                    return;
                }
                await Task.Delay(s_pause, client.Time, _stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // disposed of
        }
    }

    /// <summary>Why an endpoint's answer is not believed; null when it is, or when there is none.</summary>
    private async Task<string?> AskAsync(EtcdEndpoint endpoint)
    {
        using var limit = new CancellationTokenSource(s_patience, client.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stop.Token);
        var asked = client.Lives.Revision;
        var token = "";
        try
        {
            token = await client.Login.TokenAsync(endpoint, either.Token);
            var options = new CallOptions(EtcdClient.Headers(token), cancellationToken: either.Token);
            var answer = await endpoint.Kv.RangeAsync(question, options);
            return client.Lives.Judge(answer.Header, asked);
        }
        catch (RpcException problem) when (EtcdFailure.Of(problem).Kind == EtcdFailureKind.NeedsLogin)
        {
            client.Login.Forget(token);   // a store that was set up anew does not know it
            return null;
        }
        catch (Exception problem) when (
            problem is RpcException or OperationCanceledException or ClusterStoreException
                || EtcdFailure.IsOfTransport(problem))
        {
            _stop.Token.ThrowIfCancellationRequested();
            return null;
        }
    }

    [LoggerMessage(EventId = 3023, Level = LogLevel.Warning,
        Message = "etcd was set up anew or restored: {Problem}, and so does every endpoint that answers. Counting its "
            + "revisions anew (life {Life})")]
    private partial void LogNewLife(string problem, int life);
}
