using System.Text.Json;

namespace Routing.Dcs.Etcd;

/// <summary>What one etcd server says of itself.</summary>
/// <param name="Endpoint">Its address.</param>
/// <param name="Version">Its version, such as <c>3.4.23</c>; null when it did not say.</param>
/// <param name="IsHealthy">Whether it has a leader and can write.</param>
/// <param name="Problem">Why there is no answer, or none that can be read; else null.</param>
public sealed record EtcdReport(Uri Endpoint, string? Version, bool IsHealthy, string? Problem);

/// <summary>
/// Asks etcd servers for their version and health, by the HTTP pages that every server has beside its API.
/// </summary>
public sealed class EtcdProbe : IDisposable
{
    private readonly HttpClient _http;
    private readonly TimeProvider _time;

    /// <summary>With the certificates of the options.</summary>
    /// <exception cref="ClusterStoreException">A certificate file can't be used.</exception>
    public EtcdProbe(EtcdOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        _time = time;
        _http = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            AllowAutoRedirect = false,
            SslOptions = TlsFiles.Read(options.CaFile, options.CertificateFile, options.KeyFile),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = 65_536,
        };
    }

    /// <summary>Asks one server; what goes wrong is part of the report.</summary>
    public async Task<EtcdReport> AskAsync(Uri endpoint, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            var version = Field(await _http.GetStringAsync(new Uri(endpoint, "/version"), either.Token), "etcdserver");
            using var health = await _http.GetAsync(new Uri(endpoint, "/health"), either.Token);
            var says = Field(await health.Content.ReadAsStringAsync(either.Token), "health");
            return new EtcdReport(endpoint, version, health.IsSuccessStatusCode && says == "true", null);
        }
        catch (Exception e) when (e is HttpRequestException or JsonException)
        {
            return new EtcdReport(
                endpoint, null, false, e is JsonException ? "its answer is not etcd's" : TransportProblem.Describe(e));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new EtcdReport(endpoint, null, false, $"no answer within {timeout.TotalSeconds:0.#} s");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private static string? Field(string text, string name)
    {
        using var document = JsonDocument.Parse(text);
        return document.RootElement.ValueKind == JsonValueKind.Object
            && document.RootElement.TryGetProperty(name, out var value)
            ? value.ToString().ToLowerInvariant()
            : null;
    }
}
