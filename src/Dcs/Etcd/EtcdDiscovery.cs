using Etcdserverpb;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Routing.Dcs.Etcd;

/// <summary>Learns the addresses of members that the configuration does not name, and adds those that answer.</summary>
/// <remarks>
/// What a member advertises may be wrong from here (another cluster's port, a name that only it knows): an address is
/// added only after it answered as the member that it is said to be, in the same cluster. Failure changes nothing.
/// </remarks>
internal sealed partial class EtcdDiscovery(EtcdClient client, EtcdOptions options, ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Task _running = Task.CompletedTask;
    private long? _started;

    /// <summary>Called after an answer: looks for members now and then, beside everything else.</summary>
    public void Begin()
    {
        if (options.UseProxies)
        {
            return;
        }
        lock (_gate)
        {
            var isDue = _started is not { } last || client.Time.GetElapsedTime(last) > s_interval;
            if (isDue && _running.IsCompleted && !_stop.IsCancellationRequested)
            {
                _started = client.Time.GetTimestamp();
                _running = DiscoverAsync();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task DiscoverAsync()
    {
        try
        {
            var current = client.Endpoints.Current;
            var list = await ListAsync(current);
            var known = await Task.WhenAll(client.Endpoints.All.Select(MemberBehindAsync));
            foreach (var member in list.Members.Where(member => !known.Contains(member.ID)))
            {
                foreach (var url in member.ClientURLs)
                {
                    if (Uri.TryCreate(url, UriKind.Absolute, out var address)
                        && address.Scheme == current.Address.Scheme
                        && !client.Endpoints.Knows(address))
                    {
                        await AddAsync(address, member.ID, list.Header.ClusterId);
                    }
                }
            }
        }
        catch (Exception problem) when (problem is RpcException or OperationCanceledException)
        {
            if (!_stop.IsCancellationRequested)
            {
                LogFailed(problem.Message);
            }
        }
    }

    private async Task AddAsync(Uri address, ulong memberId, ulong clusterId)
    {
        var endpoint = client.Open(address);
        try
        {
            var list = await ListAsync(endpoint);
            if (list.Header.MemberId == memberId && list.Header.ClusterId == clusterId)
            {
                client.Add(endpoint);
                LogAdded(endpoint.Name);
                return;
            }
        }
        catch (Exception problem) when (problem is RpcException or OperationCanceledException
            && !_stop.IsCancellationRequested)
        {
            LogFailed(problem.Message);
        }
        endpoint.Dispose();
    }

    private async Task<ulong> MemberBehindAsync(EtcdEndpoint endpoint)
    {
        try
        {
            return (await ListAsync(endpoint)).Header.MemberId;
        }
        catch (Exception problem) when (problem is RpcException or OperationCanceledException)
        {
            return 0;   // silent: an additional address of a member does no harm
        }
    }

    private async Task<MemberListResponse> ListAsync(EtcdEndpoint endpoint)
    {
        using var limit = new CancellationTokenSource(s_patience, client.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stop.Token);
        var token = await client.Login.TokenAsync(endpoint, either.Token);
        var headers = EtcdClient.Headers(token);
        return await endpoint.Members.MemberListAsync(
            new MemberListRequest(), new CallOptions(headers, cancellationToken: either.Token));
    }

    [LoggerMessage(EventId = 3010, Level = LogLevel.Information, Message = "Found the etcd member {Endpoint}")]
    private partial void LogAdded(string endpoint);

    [LoggerMessage(EventId = 3011, Level = LogLevel.Debug, Message = "Looking for etcd members failed: {Problem}")]
    private partial void LogFailed(string problem);
}
