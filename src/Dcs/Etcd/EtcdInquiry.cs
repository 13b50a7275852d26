using Etcdserverpb;
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
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(200);

    private readonly EtcdErrand _errand = new(client);

    /// <summary>Called after an answer that is not believed.</summary>
    public void Begin() => _errand.Begin(InquireAsync);

    public ValueTask DisposeAsync() => _errand.DisposeAsync();

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
                await Task.Delay(s_pause, client.Time, _errand.Stopped);
            }
        }
        catch (OperationCanceledException) when (_errand.Stopped.IsCancellationRequested)
        {
            // disposed of
        }
    }

    /// <summary>Why an endpoint's answer is not believed; null when it is, or when there is none.</summary>
    private async Task<string?> AskAsync(EtcdEndpoint endpoint)
    {
        var asked = client.Lives.Revision;
        try
        {
            var answer = await _errand.AskAsync(endpoint, options => endpoint.Kv.RangeAsync(question, options));
            return client.Lives.Judge(answer.Header, asked);
        }
        catch (Exception problem) when (EtcdErrand.IsNoAnswer(problem))
        {
            _errand.Stopped.ThrowIfCancellationRequested();
            return null;
        }
    }

    [LoggerMessage(EventId = 3023, Level = LogLevel.Warning,
        Message = "etcd was set up anew or restored, as every endpoint that answers shows: {Problem}. Counting its "
            + "revisions anew (life {Life})")]
    private partial void LogNewLife(string problem, int life);
}
