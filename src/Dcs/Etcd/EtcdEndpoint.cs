using Etcdserverpb;
using Grpc.Net.Client;
using EtcdCluster = Etcdserverpb.Cluster;

namespace Routing.Dcs.Etcd;

/// <summary>One etcd member (or proxy): a channel of its own, and what is known about it.</summary>
internal sealed class EtcdEndpoint : IDisposable
{
    private readonly GrpcChannel _channel;

    public EtcdEndpoint(Uri address, EtcdTransport transport)
    {
        Address = address;
        _channel = transport.Open(address);
        Kv = new KV.KVClient(_channel);
        Lease = new Lease.LeaseClient(_channel);
        Watch = new Watch.WatchClient(_channel);
        Auth = new Auth.AuthClient(_channel);
        Members = new EtcdCluster.ClusterClient(_channel);
    }

    public Uri Address { get; }

    public string Name => Address.GetLeftPart(UriPartial.Authority);

    public KV.KVClient Kv { get; }

    public Lease.LeaseClient Lease { get; }

    public Watch.WatchClient Watch { get; }

    public Auth.AuthClient Auth { get; }

    public EtcdCluster.ClusterClient Members { get; }

    /// <summary>Timestamp before which others are tried first; guarded by <see cref="EtcdEndpoints"/>.</summary>
    public long AvoidUntil { get; set; }

    /// <summary>How its last attempt failed, for a log that says things once; null after an answer.</summary>
    public EtcdFailureKind? Failing { get; set; }

    public void Dispose() => _channel.Dispose();
}
