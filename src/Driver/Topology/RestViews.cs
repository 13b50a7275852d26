using System.Collections.Immutable;
using System.Net.Security;
using System.Runtime.CompilerServices;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Driver.Diagnostics;

namespace Routing.Driver.Topology;

/// <summary>Views of a cluster from its agents' <c>GET /cluster</c>: all are asked at each turn, and the answer that knows most counts.</summary>
/// <remarks>Members that an answer names are asked too from then on: the configured addresses need only be a beginning.</remarks>
internal sealed class RestViews : IClusterViews, IDisposable
{
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromSeconds(2);

    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TimeSpan _interval;
    private readonly ImmutableHashSet<Uri> _seeds;

    public RestViews(RoutingOptions options, ILogger<RestViews> logger, TimeProvider time)
    {
        _seeds = [.. EndpointText.ParseAll(options.Rest, options.RestCaFile, EndpointText.RestPort)];
        (_time, _logger, _interval) = (time, logger, options.RestInterval);
        var handler = new SocketsHttpHandler { ConnectTimeout = LongestAnswer, UseProxy = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) };
        if (options.RestCaFile is { } file)
        {
            var trust = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            trust.CustomTrustStore.ImportFromPemFile(file);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = trust };
        }
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(_interval, _time);
        var last = new ClusterView(ClusterSnapshot.Empty, IsLive: false, LastContact: 0);
        var revision = 0L;
        var addresses = _seeds;
        do
        {
            var answers = await Task.WhenAll(addresses.Select(address => AskAsync(address, revision + 1, cancellationToken))).ConfigureAwait(false);
            if (answers.OfType<ClusterSnapshot>().MaxBy(Knowledge) is { } best)
            {
                revision++;
                last = new ClusterView(best, IsLive: true, _time.GetTimestamp());
                addresses = _seeds.Union(best.Members.Values.Select(RestOf).OfType<Uri>());
                yield return last;
            }
            else if (last.IsLive)
            {
                last = last with { IsLive = false };
                yield return last;
            }
        }
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false));
    }

    public void Dispose() => _http.Dispose();

    private static (long Term, ulong Position, int Members) Knowledge(ClusterSnapshot snapshot) => (
        snapshot.Leader?.Term.Revision ?? snapshot.Members.Values.Max(member => (long?)member.Timeline) ?? 0,
        snapshot.Status.Optime.Value,
        snapshot.Members.Count);

    private static Uri? RestOf(Member member) =>
        Uri.TryCreate(member.ApiUrl, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" ? new Uri(url.GetLeftPart(UriPartial.Authority)) : null;

    private async Task<ClusterSnapshot?> AskAsync(Uri address, long revision, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(LongestAnswer, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var text = await _http.GetStringAsync(new Uri(address, "/cluster"), either.Token).ConfigureAwait(false);
            if (!ClusterOverviewReader.TryRead(text, revision, out var snapshot, out var problem))
            {
                _logger.RestFailed(address, problem);
                return null;
            }
            return snapshot;
        }
        catch (Exception silent) when (silent is HttpRequestException || (silent is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            _logger.RestFailed(address, silent.Message);
            return null;
        }
    }
}
