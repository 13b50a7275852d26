using Etcdserverpb;
using Grpc.Net.Client;
using EtcdCluster = Etcdserverpb.Cluster;

namespace Routing.Dcs.Etcd;

/// <summary>One etcd member (or proxy): a channel of its own, and what is known about it.</summary>
internal sealed class EtcdEndpoint : IDisposable
{
    private readonly Lock _gate = new();
    private Clients _clients;
    private GrpcChannel? _former;

    public EtcdEndpoint(Uri address, EtcdTransport transport)
    {
        Address = address;
        _clients = new Clients(transport, transport.Open(address));
    }

    public Uri Address { get; }

    public string Name => Address.GetLeftPart(UriPartial.Authority);

    public KV.KVClient Kv => Now.Kv;

    public Lease.LeaseClient Lease => Now.Lease;

    public Watch.WatchClient Watch => Now.Watch;

    public Auth.AuthClient Auth => Now.Auth;

    public EtcdCluster.ClusterClient Members => Now.Members;

    /// <summary>Timestamp before which others are tried first; guarded by <see cref="EtcdEndpoints"/>.</summary>
    public long AvoidUntil { get; set; }

    /// <summary>How its last attempt failed, for a log that says things once; null after an answer.</summary>
    public EtcdFailureKind? Failing { get; set; }

    private Clients Now => Volatile.Read(ref _clients);

    /// <summary>
    /// Sends what is asked from now on over a channel with these certificates. The former channel stays open for the
    /// calls that run, a watch among them, until the next change or the end.
    /// </summary>
    public void Use(EtcdTransport transport)
    {
        lock (_gate)
        {
            if (ReferenceEquals(_clients.Transport, transport) || Address.Scheme != Uri.UriSchemeHttps)
            {
                return;
            }
            _former?.Dispose();
            _former = _clients.Channel;
            Volatile.Write(ref _clients, new Clients(transport, transport.Open(Address)));
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _former?.Dispose();
            _clients.Channel.Dispose();
        }
    }

    /// <summary>A channel, and a client for each of etcd's services that is used.</summary>
    private sealed class Clients(EtcdTransport transport, GrpcChannel channel)
    {
        public EtcdTransport Transport { get; } = transport;

        public GrpcChannel Channel { get; } = channel;

        public KV.KVClient Kv { get; } = new(channel);

        public Lease.LeaseClient Lease { get; } = new(channel);

        public Watch.WatchClient Watch { get; } = new(channel);

        public Auth.AuthClient Auth { get; } = new(channel);

        public EtcdCluster.ClusterClient Members { get; } = new(channel);
    }
}
