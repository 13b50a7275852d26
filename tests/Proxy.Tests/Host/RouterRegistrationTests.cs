using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Proxy.Configuration;
using Routing.Proxy.Host;
using Routing.Proxy.Routes;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>A proxy that tells the leader when it is ready for a switchover.</summary>
public sealed class RouterRegistrationTests : IAsyncDisposable
{
    private readonly InMemoryDcs _dcs = new(TimeProvider.System);
    private readonly Router _router = new(
        [
            new ListenerConfig
            {
                Name = "write", Address = ListenAddress.Unknown,
                Request = new HostRequest { Role = WantedRole.Primary },
            },
        ],
        TimeProvider.System, new Random(1), NullLogger.Instance);

    private readonly CancellationTokenSource _stop = new();
    private readonly InMemoryClusterStore _store;
    private readonly RouterRegistration _registration;
    private readonly Task _running;
    private int _restless;

    public RouterRegistrationTests()
    {
        _store = _dcs.Connect();
        _registration = new RouterRegistration(
            _store, "p1", _router, _ => Volatile.Read(ref _restless), TimeProvider.System, NullLogger.Instance);
        _running = _registration.RunAsync(_stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
        _registration.Dispose();
        _router.Dispose();
        await _store.DisposeAsync();
    }

    [Fact]
    public async Task It_is_ready_when_no_session_of_the_leader_is_restless_and_not_before()
    {
        await WaitUntil.TrueAsync(() => Record is { Ready: null });
        Assert.True(_registration.IsRegistered);
        _restless = 2;
        Announce("7");
        await WaitUntil.TrueAsync(() => _router.Hold is not null);
        await WaitUntil.TrueAsync(() => Record is { Ready: null, Busy: 2 });

        _restless = 0;
        await WaitUntil.TrueAsync(() => Record is { Ready: "7", Busy: 0 });
        Announce("8");
        await WaitUntil.TrueAsync(() => Record is { Ready: "8" });
    }

    [Fact]
    public async Task Its_key_is_written_anew_when_the_lease_is_gone_and_deleted_when_it_stops()
    {
        await WaitUntil.TrueAsync(() => Record is not null);
        var lease = _dcs.Keys[ClusterKeys.RoutersPrefix + "p1"].LeaseId;
        Assert.NotEqual(0, lease);
        _dcs.Expire(lease);
        Announce("7");   // or with the next renewal
        await WaitUntil.TrueAsync(() => Record is { Ready: "7" });

        await _stop.CancelAsync();
        await _running;
        Assert.Null(Record);
    }

    private RouterRecord? Record => _dcs.Snapshot.Routers.GetValueOrDefault("p1");

    private void Announce(string id)
    {
        var member = new Member
        {
            Name = "a", Address = new HostPort("127.0.0.1", 5432), Role = Role.Primary, State = PostgresState.Running,
        };
        _router.Adopt(new ClusterView(
            ClusterSnapshot.Empty with
            {
                Revision = 5,
                Leader = new LeaderKey("a", new Term(5), 5, 1),
                Members = ClusterSnapshot.Empty.Members.Add("a", member),
                Switchover = new SwitchoverIntent(id, "a", null, 5, TimeSpan.FromMinutes(5)),
            },
            true, 1));
    }
}
