using Microsoft.Extensions.Logging.Abstractions;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

public sealed class EndpointSourceTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_store_without_endpoints_says_why_its_source_finds_none()
    {
        var options = new EtcdOptions
        {
            Endpoints = [], Source = new KnownSource(null), OperationTimeout = TimeSpan.FromSeconds(1),
        };
        await using var store = Open(options);

        var problem = await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());

        Assert.Contains("nothing is known", problem.Message, StringComparison.Ordinal);
        Assert.Equal("", store.Status.Endpoint);
    }

    [Fact]
    [Trait("Category", "Integration")]
    public async Task A_store_without_endpoints_works_on_what_its_source_finds()
    {
        await using var etcd = await EtcdServer.StartAsync();
        var found = new UriBuilder("http", "localhost", etcd.Endpoint.Port).Uri;
        await using var store = Open(new EtcdOptions { Endpoints = [], Source = new KnownSource(found) });

        var written = await store.PutAsync("config", "{}", WriteCondition.Absent, 0, Token);

        Assert.True(written.IsDone, $"{written}");
        Assert.Equal($"http://localhost:{etcd.Endpoint.Port}", store.Status.Endpoint);
    }

    private static EtcdClusterStore Open(EtcdOptions options) =>
        new(options, null, Stores.NewScope(), TimeProvider.System, NullLoggerFactory.Instance);

    private sealed record KnownSource(Uri? Endpoint) : IEndpointSource
    {
        public Task<IReadOnlyList<Uri>> FindAsync(
            TimeProvider time, Random random, CancellationToken cancellationToken) =>
            Endpoint is { } known
                ? Task.FromResult<IReadOnlyList<Uri>>([known])
                : Task.FromException<IReadOnlyList<Uri>>(new ClusterStoreException("nothing is known"));
    }
}
