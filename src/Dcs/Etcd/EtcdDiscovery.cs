using Etcdserverpb;
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

    private readonly EtcdErrand _errand = new(client);
    private long? _started;

    /// <summary>Called after an answer: looks for members now and then, beside everything else.</summary>
    public void Begin()
    {
        if (!options.UseProxies)
        {
            _errand.Begin(DiscoverAsync, IsDue);
        }
    }

    public ValueTask DisposeAsync() => _errand.DisposeAsync();

    private bool IsDue()
    {
        if (_started is { } last && client.Time.GetElapsedTime(last) <= s_interval)
        {
            return false;
        }
        _started = client.Time.GetTimestamp();
        return true;
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
        catch (Exception problem) when (EtcdErrand.IsNoAnswer(problem))
        {
            if (!_errand.Stopped.IsCancellationRequested)
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
        catch (Exception problem) when (EtcdErrand.IsNoAnswer(problem)
            && !_errand.Stopped.IsCancellationRequested)
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
        catch (Exception problem) when (EtcdErrand.IsNoAnswer(problem))
        {
            return 0;   // silent: an additional address of a member does no harm
        }
    }

    private Task<MemberListResponse> ListAsync(EtcdEndpoint endpoint) => _errand.AskAsync(
        endpoint, options => endpoint.Members.MemberListAsync(new MemberListRequest(), options));

    [LoggerMessage(EventId = 3010, Level = LogLevel.Information, Message = "Found the etcd member {Endpoint}")]
    private partial void LogAdded(string endpoint);

    [LoggerMessage(EventId = 3011, Level = LogLevel.Debug, Message = "Looking for etcd members failed: {Problem}")]
    private partial void LogFailed(string problem);
}
