using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Routes;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Routes;

/// <summary>The router under a scripted topology, on a clock of its own.</summary>
public sealed class RouterTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly Router _router;

    private readonly List<string> _lookedUp = [];
    private Func<IPAddress[]> _resolve = () => throw new SocketException((int)SocketError.HostNotFound);

    public RouterTests() => _router = new Router(
        [
            new ListenerConfig { Name = "write", Address = ListenAddress.Unknown,
                Request = new HostRequest { Role = WantedRole.Primary }, HoldQueue = 3, LoginsPerSecond = 10 },
            new ListenerConfig { Name = "read", Address = ListenAddress.Unknown,
                Request = new HostRequest { Role = WantedRole.Replica, MaximumLagBytes = 1000 } },
        ],
        _time, new Random(1), NullLogger.Instance, ResolveAsync);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _router.Dispose();

    [Fact]
    public void Before_etcd_has_answered_nothing_is_known() =>
        Assert.Equal(RouteReason.TopologyUnknown, _router.Choose("write", []).Reason);

    [Fact]
    public void A_lower_term_than_one_that_was_seen_is_never_routed_to()
    {
        Adopt(term: 20, leader: "a");
        Adopt(term: 10, leader: "b");   // an old snapshot, or an etcd that was set back

        Assert.Null(_router.Choose("write", []).Target);
        Adopt(term: 21, leader: "b");
        Assert.Equal(("b", 21L), Named(_router.Choose("write", [])));
    }

    [Fact]
    public void A_silent_etcd_changes_nothing()
    {
        Adopt(term: 20, leader: "a");
        Adopt(term: 20, leader: "a", isLive: false);

        Assert.Equal(("a", 20L), Named(_router.Choose("write", [])));
        Assert.Equal(SessionVerdict.Stay, _router.VerdictOn("write", _router.Choose("write", []).Target!));
    }

    [Fact]
    public void Sessions_at_a_leader_that_is_none_any_more_are_cut_and_those_at_the_new_one_stay()
    {
        Adopt(term: 20, leader: "a");
        var old = _router.Choose("write", []).Target!;
        Adopt(term: 20, leader: null);
        Assert.Equal(SessionVerdict.CutNow, _router.VerdictOn("write", old));   // it says that it stands by
        Adopt(term: 30, leader: "b");

        Assert.Equal(SessionVerdict.CutNow, _router.VerdictOn("write", old));
        Assert.Equal(SessionVerdict.Stay, _router.VerdictOn("write", _router.Choose("write", []).Target!));
    }

    [Fact]
    public void A_reader_stays_a_little_behind_the_limit_and_leaves_far_behind_it()
    {
        Adopt(term: 20, leader: "a", lag: 0);
        var target = _router.Choose("read", []).Target!;
        Assert.NotEqual("a", target.Member);

        Adopt(term: 20, leader: "a", lag: 1500);
        Assert.Null(_router.Choose("read", []).Target);
        Assert.Equal(SessionVerdict.Stay, _router.VerdictOn("read", target));
        Adopt(term: 20, leader: "a", lag: 2500);
        Assert.Equal(SessionVerdict.CutAtRest, _router.VerdictOn("read", target));
    }

    [Fact]
    public void Readers_are_spread_evenly()
    {
        Adopt(term: 20, leader: "a");

        var members = Enumerable.Range(0, 100).Select(_ => _router.Choose("read", []).Target!.Member)
            .CountBy(one => one).ToDictionary();

        Assert.Equal(50, members["b"]);
        Assert.Equal(50, members["c"]);
    }

    [Fact]
    public void A_replica_that_failed_is_left_out_for_a_while()
    {
        Adopt(term: 20, leader: "a");
        var failed = _router.Choose("read", []).Target!;
        _router.NoteFailure(failed, LoginFailure.Dropped);

        Assert.All(Enumerable.Range(0, 10),
            _ => Assert.NotEqual(failed.Member, _router.Choose("read", []).Target!.Member));
        _time.Advance(TimeSpan.FromSeconds(1.1));
        Assert.Contains(Enumerable.Range(0, 20), _ => _router.Choose("read", []).Target!.Member == failed.Member);
    }

    [Fact]
    public void A_leader_that_says_it_stands_by_is_refused_until_it_says_otherwise()
    {
        Adopt(term: 20, leader: "a");
        _router.NoteFailure(_router.Choose("write", []).Target!, LoginFailure.WrongRole);

        Assert.Null(_router.Choose("write", []).Target);
        Adopt(term: 20, leader: "a");   // it has written its key anew
        Assert.NotNull(_router.Choose("write", []).Target);
    }

    [Fact]
    public async Task Who_waits_is_let_through_in_order_and_paced()
    {
        Adopt(term: 20, leader: null);
        var waiting = Enumerable.Range(0, 3)
            .Select(_ => _router.HoldAsync("write", [], isMove: false, Cancellation).AsTask()).ToList();
        var full = await _router.HoldAsync("write", [], isMove: false, Cancellation);
        Assert.Equal(RouteReason.QueueFull, full.Reason);

        Adopt(term: 30, leader: "b");
        Assert.Equal("b", (await waiting[0]).Target!.Member);   // one at once: a tenth of ten in a second
        Assert.Null(_router.Choose("write", []).Target);        // nobody overtakes those who wait
        Assert.False(waiting[1].IsCompleted);
        for (var tick = 0; tick < 6; tick++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(20));
        }
        Assert.Equal("b", (await waiting[1]).Target!.Member);
        Assert.False(waiting[2].IsCompleted);
        for (var tick = 0; tick < 6; tick++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(20));
        }
        Assert.Equal("b", (await waiting[2]).Target!.Member);
        Assert.Equal(0, _router.Waiting);
    }

    [Fact]
    public async Task Sessions_that_move_are_let_through_apart_from_new_clients_and_faster()
    {
        const int Moves = 1_000;
        Adopt(term: 20, leader: null);
        var clients = Enumerable.Range(0, 3)
            .Select(_ => _router.HoldAsync("write", [], isMove: false, Cancellation).AsTask()).ToList();
        var moves = Enumerable.Range(0, Moves)
            .Select(_ => _router.HoldAsync("write", [], isMove: true, Cancellation).AsTask()).ToList();

        Adopt(term: 30, leader: "b");
        for (var tick = 0; tick < 6; tick++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(20));
        }

        Assert.All(moves, move => Assert.Equal("b", move.Result.Target!.Member));   // all within 0.12 s
        await clients[1];
        Assert.False(clients[2].IsCompleted);
    }

    [Fact]
    public async Task Who_waits_in_vain_is_sent_away_after_the_hold_time()
    {
        Adopt(term: 20, leader: null);
        var waiting = _router.HoldAsync("write", [], isMove: false, Cancellation).AsTask();

        _time.Advance(TimeSpan.FromSeconds(9.9));
        Assert.False(waiting.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(0.2));

        Assert.Equal(RouteReason.HoldTimeout, (await waiting).Reason);
    }

    [Fact]
    public async Task A_drain_sends_everybody_away()
    {
        Adopt(term: 20, leader: null);
        var waiting = _router.HoldAsync("write", [], isMove: false, Cancellation).AsTask();

        _router.Drain();

        Assert.Equal(RouteReason.Draining, (await waiting).Reason);
    }

    [Fact]
    public async Task A_name_that_can_not_be_resolved_is_told_and_asked_for_again_though_nothing_else_happens()
    {
        Adopt(term: 20, leader: "a", host: "db.example");
        Adopt(term: 20, leader: "a", host: "db.example");
        var refused = _router.Choose("write", []);
        var first = LookUps;
        await UntilAsync(() => LookUps > 3);
        _resolve = () => [IPAddress.Parse("10.0.0.1")];

        await UntilAsync(() => _router.Choose("write", []).Target is not null);
        Assert.Equal((RouteReason.NoLeader, "the name db.example of a can't be resolved at present"),
            (refused.Reason, refused.Sentence));
        Assert.Equal(1, first);   // one at a time, however often the name is met

        Task UntilAsync(Func<bool> condition) => WaitUntil.TrueAsync(() =>
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            return condition();
        });
    }

    [Fact]
    public async Task A_name_whose_address_has_changed_is_found_out_by_the_attempt_that_fails()
    {
        _resolve = () => [IPAddress.Parse("10.0.0.1")];
        Adopt(term: 20, leader: "a", host: "db.example");
        await WaitUntil.TrueAsync(() => _router.Choose("write", []).Target is not null);
        var before = _router.Choose("write", []).Target!;
        _resolve = () => [IPAddress.Parse("10.0.0.2")];
        _time.Advance(TimeSpan.FromSeconds(2));

        _router.NoteFailure(before, LoginFailure.Refused);

        await WaitUntil.TrueAsync(() => _router.Choose("write", []).Target is { } target
            && target.Addresses[0].Equals(new IPEndPoint(IPAddress.Parse("10.0.0.2"), 5432 + 'a')));
    }

    [Fact]
    public async Task A_name_that_is_resolved_while_a_view_is_adopted_does_not_bring_an_older_view_back()
    {
        Adopt(term: 20, leader: "a");
        _resolve = () =>
        {
            // This runs while the router adopts the view of term 21. The second lookup lasts until the answer of the
            // first has come to the router, and waits there.
            var contentions = Monitor.LockContentionCount;
            SpinWait.SpinUntil(
                () => LookUps > 1 && Monitor.LockContentionCount > contentions, TimeSpan.FromMilliseconds(200));
            return [IPAddress.Parse("10.0.0.1")];
        };

        Adopt(term: 21, leader: "b", host: "{0}.example");

        await WaitUntil.TrueAsync(() => _router.Choose("write", []).Target is not null);
        await WaitUntil.TrueAsync(() => _router.TargetsOf("read").Length == 2);
        Assert.Equal(("b", 21L), Named(_router.Choose("write", [])));
    }

    private int LookUps
    {
        get
        {
            lock (_lookedUp)
            {
                return _lookedUp.Count;
            }
        }
    }

    private Task<IPAddress[]> ResolveAsync(string name)
    {
        lock (_lookedUp)
        {
            _lookedUp.Add(name);
        }
        try
        {
            return Task.FromResult(_resolve());
        }
        catch (SocketException unknown)
        {
            return Task.FromException<IPAddress[]>(unknown);
        }
    }

    private static (string? Member, long Term) Named(RouteChoice choice) =>
        (choice.Target?.Member, choice.Target?.Term.Revision ?? 0);

    private long _revision = 100;

    private ClusterView _view = ClusterView.Unknown;

    private void Adopt(long term, string? leader, bool isLive = true, long lag = 0, string host = "127.0.0.1")
    {
        const long Position = 1_000_000;
        var members = ImmutableSortedDictionary.CreateBuilder<string, Member>();
        foreach (var name in (string[])["a", "b", "c"])
        {
            members[name] = new Member
            {
                Name = name,
                Address = new HostPort(host.Replace("{0}", name, StringComparison.Ordinal), 5432 + name[0]),
                State = PostgresState.Running,
                Role = name == leader ? Role.Primary : Role.Replica,
                XlogLocation = new Lsn((ulong)(name == leader ? Position : Position - lag)),
                ModRevision = ++_revision,
            };
        }
        _view = new ClusterView(
            new ClusterSnapshot
            {
                Revision = ++_revision,
                Leader = leader is null ? null : new LeaderKey(leader, new Term(term), term, 1),
                Members = members.ToImmutable(),
                Status = LeaderStatus.None with { Optime = new Lsn(Position) },
            },
            isLive, 1).After(_view);
        _router.Adopt(_view);
    }
}
