using System.Text.Json.Nodes;
using Routing.Cluster;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>A real etcd with the keys of a leader "a" and a replica "b", behind which pretend servers stand.</summary>
public sealed class PretendCluster : IAsyncLifetime
{
    /// <summary>The cluster's name.</summary>
    public const string Scope = "pretended";

    private EtcdKeys? _keys;

    /// <summary>The etcd.</summary>
    public EtcdServer Etcd { get; private set; } = null!;

    internal PretendServer Leader { get; private set; } = null!;

    internal PretendServer Replica { get; private set; } = null!;

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        Etcd = await EtcdServer.StartAsync();
        _keys = new EtcdKeys(Etcd.Endpoint, $"/service/{Scope}");
        (Leader, Replica) = (new PretendServer(), new PretendServer(inRecovery: true));
        await PutAsync("a", Leader, Role.Primary);
        await PutAsync("b", Replica, Role.Replica);
        await LeadAsync("a");
    }

    /// <summary>Starts a proxy before it.</summary>
    public Task<ProxyProcess> ProxyAsync(ProxyOptions? options = null) =>
        ProxyProcess.StartAsync(Scope, Etcd.Endpoint, options);

    /// <summary>Gives the leader key to a member; null: takes it away.</summary>
    public Task LeadAsync(string? member) =>
        member is null ? _keys!.DeleteAsync("leader") : _keys!.PutAsync("leader", member);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _keys?.Dispose();
        await Etcd.DisposeAsync();
        Leader.Dispose();
        Replica.Dispose();
    }

    private Task PutAsync(string name, PretendServer server, Role role) =>
        _keys!.PutAsync($"members/{name}", new JsonObject
    {
        ["conn_url"] = $"postgres://127.0.0.1:{server.Port}/postgres",
        ["api_url"] = "http://127.0.0.1:1/patroni",
        ["state"] = "running",
        ["role"] = role.ToWire(),
        ["xlog_location"] = 1000,
        ["timeline"] = 1,
    }.ToJsonString());
}
