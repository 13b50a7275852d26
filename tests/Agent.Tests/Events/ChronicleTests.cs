using System.Collections.Immutable;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Events;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Tests.Events;

/// <summary>What changes between two runs of the loop stands in the diary, once.</summary>
public sealed class ChronicleTests
{
    private static readonly DateTimeOffset s_clock = new(2026, 11, 30, 8, 0, 0, TimeSpan.Zero);

    private readonly AgentEvents _events = new(new FakeTimeProvider(), member: "b");
    private readonly Chronicle _chronicle;
    private long _seen;

    public ChronicleTests() => _chronicle = new Chronicle(_events);

    [Fact]
    public void A_failover_that_this_member_wins_is_told_step_by_step()
    {
        See(Follows("a", 10), "follows");

        Assert.Equal(["leader/leader_gone", "server/stream_lost", "reason/asks_peers"],
            See(Follows(null, 0) with { Local = Standby(streams: false) }, "asks_peers"));
        var asked = Follows(null, 0) with
        {
            Local = Standby(streams: false),
            Now = TimeSpan.FromSeconds(101),
            Peers = Answers(TimeSpan.FromSeconds(100.2)),
        };
        Assert.Equal(["race/peers_answered", "reason/races"], See(asked, "races"));
        var elected = Follows("b", 20) with { Peers = asked.Peers, Lease = Lease(20), Local = Standby(streams: false) };
        Assert.Equal(["leader/leader_changed", "lease/lease_won", "reason/promotes"], See(elected, "promotes"));
        var promoted = elected with
        {
            Now = TimeSpan.FromSeconds(103),
            Local = Standby(streams: false) with { IsPrimary = true, Timeline = 4 },
            Ended = new JobEnd(JobKind.Promote, JobResult.Done, "is a primary after 90 ms", TimeSpan.FromSeconds(102.5))
            {
                StartedAt = TimeSpan.FromSeconds(102.4),
            },
        };
        Assert.Equal(["job/promote_started", "job/promote_done", "role/primary", "reason/leads"],
            See(promoted, "leads"));
    }

    /// <summary>A job that was quicker than the loop began and ended when it did, not when the loop saw it.</summary>
    [Fact]
    public void Times_are_those_of_what_happened()
    {
        See(Follows("b", 20) with
        {
            Lease = Lease(20),
            Now = TimeSpan.FromSeconds(103),
            Ended = new JobEnd(JobKind.Promote, JobResult.Done, "done", TimeSpan.FromSeconds(102.5))
            {
                StartedAt = TimeSpan.FromSeconds(102.4),
            },
        }, "leads");

        var job = _events.After(0).Where(item => item.Kind == "job").ToList();

        Assert.Equal([s_clock.AddSeconds(-0.6), s_clock.AddSeconds(-0.5)], job.Select(item => item.Time));
        Assert.Equal(100, job[1].Figures!.Value.GetProperty("took_ms").GetInt32());
    }

    [Fact]
    public void Whom_it_asked_and_what_each_answered_stands_in_the_figures()
    {
        See(Follows(null, 0) with { Peers = Answers(TimeSpan.FromSeconds(99)) }, "races");

        var race = Assert.Single(_events.After(0), item => item.Kind == "race");
        var asked = race.Figures!.Value.GetProperty("asked").EnumerateArray().ToList();

        Assert.Equal(["a", "c"], asked.Select(item => item.GetProperty("name").GetString()));
        Assert.Equal([false, true], asked.Select(item => item.GetProperty("reachable").GetBoolean()));
        Assert.Equal("0/C8", asked[1].GetProperty("lsn").GetString());
        Assert.Equal("no answer", asked[0].GetProperty("problem").GetString());
    }

    /// <summary>Twice a second for an hour, without a leader: the ring must not be full of that.</summary>
    [Fact]
    public void The_same_to_and_fro_is_told_once_a_minute()
    {
        var o = Follows(null, 0);
        for (var i = 0; i < 600; i++)
        {
            var now = TimeSpan.FromSeconds(100 + (i * 0.5));
            _chronicle.See(o with { Now = now, Peers = Answers(now) }, Decision("asks_peers", "asks"));
            _chronicle.See(o with { Now = now, Peers = Answers(now) },
                Decision("lagging", $"does not race: it lacks {i} bytes"));
        }

        Assert.Equal(5, _events.After(0).Count(item => item.Code == "lagging"));
        Assert.Equal(5, _events.After(0).Count(item => item.Code == "asks_peers"));
        Assert.Single(_events.After(0), item => item.Kind == "race");
    }

    [Fact]
    public void Nothing_is_told_while_nothing_changes()
    {
        See(Follows("a", 10), "follows");

        Assert.Empty(See(Follows("a", 10), "follows"));
    }

    /// <summary>An agent that is started anew finds a leader: that is no change of leader.</summary>
    [Fact]
    public void The_first_leader_that_is_seen_has_not_changed() =>
        Assert.Contains("leader/leader_seen", See(Follows("a", 10), "follows"));

    [Fact]
    public void A_request_a_pause_and_a_silent_etcd_are_told_once()
    {
        See(Follows("a", 10), "follows");
        var cluster = Follows("a", 10).Cluster!;
        var asked = Follows("a", 10) with { Cluster = cluster with { Failover = new("a", "b", null, 11) } };

        Assert.Equal(["request/switchover_requested"], See(asked, "follows"));
        Assert.Empty(See(asked, "follows"));
        Assert.Equal(["request/request_gone"], See(Follows("a", 10), "follows"));
        Assert.Equal(["dcs/dcs_silent"], See(Follows("a", 10) with { IsDcsLive = false }, "follows"));
        Assert.Equal(["dcs/dcs_answers"], See(Follows("a", 10), "follows"));
        Assert.Equal(["pause/paused", "reason/follows"], See(
            Follows("a", 10) with { Config = DynamicConfig.Default with { Pause = true } }, "follows"));
    }

    [Fact]
    public void A_crash_of_the_server_and_its_return_are_told()
    {
        See(Follows("b", 20) with { Lease = Lease(20) }, "leads");

        Assert.Contains("server/server_stopped", See(
            Follows("b", 20) with { Lease = Lease(20), Local = new LocalPostgres { Data = DataDirectory.Ready } },
            "restarts_primary"));
        Assert.Contains("server/server_started", See(Follows("b", 20) with { Lease = Lease(20) }, "leads"));
    }

    [Fact]
    public void What_an_alert_should_know_of_is_a_warning()
    {
        See(Follows("a", 10), "follows");

        Assert.Contains("warning/not_allowed_to_promote", See(Follows(null, 0), "nofailover"));
        Assert.DoesNotContain("warning/not_allowed_to_promote",
            See(Follows(null, 0) with { Now = TimeSpan.FromMinutes(5) }, "nofailover"));
        See(Follows("a", 12), "follows");
        Assert.Contains("warning/not_allowed_to_promote", See(Follows(null, 0), "nofailover"));
        Assert.Contains("warning/start_failed", See(
            Follows("a", 13) with
            {
                Ended = new JobEnd(
                    JobKind.StartStandby, JobResult.Failed, "it did not start", TimeSpan.FromSeconds(100)),
            },
            "start_retry"));
    }

    private List<string> See(Observation o, string code)
    {
        _chronicle.See(o, Decision(code, code));
        var told = _events.After(_seen).Select(item => $"{item.Kind}/{item.Code}").ToList();
        _seen = _events.LastId;
        return told;
    }

    private static Decision Decision(string code, string reason) => new(code, reason, [], LoopMemory.Empty);

    private static LeaseView Lease(long term) =>
        new(true, new Term(term), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30));

    private static LocalPostgres Standby(bool streams) => new()
    {
        Data = DataDirectory.Ready,
        Server = ServerState.Running,
        WalPosition = new Lsn(200),
        ReceivedLsn = new Lsn(200),
        Timeline = 3,
        IsStreaming = streams,
        HasRecoverySignal = true,
    };

    private static PeerAnswers Answers(TimeSpan at) => new(at, at + TimeSpan.FromMilliseconds(30),
        new[]
        {
            PeerReport.Unreachable("a", "no answer"),
            new PeerReport("c", true, false, new Lsn(200), 3) { Role = Role.Replica },
        }.ToImmutableSortedDictionary(report => report.Name, report => report, StringComparer.Ordinal));

    private static Observation Follows(string? leader, long term) => new()
    {
        Self = "b",
        Cluster = ClusterSnapshot.Empty with
        {
            Revision = 100,
            Leader = leader is null ? null : new LeaderKey(leader, new Term(term), term, 1),
        },
        IsDcsLive = true,
        Local = Standby(streams: true),
        Now = TimeSpan.FromSeconds(100),
        Clock = s_clock,
    };
}
