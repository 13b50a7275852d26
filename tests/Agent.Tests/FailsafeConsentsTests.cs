using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Status;
using Routing.Agent.Tests.Rest;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Agent.Tests;

/// <summary>Whom a member lets lead without the DCS, and for how long it is bound.</summary>
public sealed class FailsafeConsentsTests
{
    private static readonly DynamicConfig s_on =
        DynamicConfigReader.Read(JsonElement.Parse("""{"failsafe_mode":true}"""), 1);
    private readonly FakeTimeProvider _time = new();
    private readonly List<FailsafeNotice> _kept = [];
    private readonly StatusBoard _board =
        new(Nodes.Replica with { Config = s_on, Timing = Timing.Default, LastLeader = "pg-a", Cluster = null });

    [Fact]
    public void The_last_leader_may_stay()
    {
        var answer = Ask("pg-a", 30);

        Assert.Equal((FailsafeVerdict.Accepted, new Lsn(117441000)), (answer.Verdict, answer.Position));
        Assert.Equal("pg-a", _board.Current.Failsafe?.Name);
        Assert.Equal(_board.Current.Failsafe, Assert.Single(_kept));
    }

    [Theory]
    [InlineData("pg-c")]     // a standby
    [InlineData("PG-A")]
    [InlineData("nobody")]
    public void Nobody_else_may(string name) => Refuses(FailsafeVerdict.NotTheLeader, name, 30);

    [Fact]
    public void A_key_that_names_another_counts_for_more_than_what_was()
    {
        _board.Update(status => status with
        {
            Cluster = ClusterSnapshot.Empty with { Revision = 9, Leader = new LeaderKey("pg-c", new Term(8), 8, 1) },
        });

        Refuses(FailsafeVerdict.NotTheLeader, "pg-a", 30);
        Assert.Equal(FailsafeVerdict.Accepted, Ask("pg-c", 30).Verdict);
    }

    [Fact]
    public void A_key_that_has_ended_leaves_the_leader_the_last_one()
    {
        _board.Update(status => status with { Cluster = ClusterSnapshot.Empty with { Revision = 9 } });

        Assert.Equal(FailsafeVerdict.Accepted, Ask("pg-a", 30).Verdict);
    }

    [Fact]
    public void A_cluster_that_nobody_has_led_has_no_leader_to_let_stay()
    {
        _board.Update(
            status => status with { LastLeader = null, Cluster = ClusterSnapshot.Empty with { Revision = 9 } });

        Refuses(FailsafeVerdict.NotTheLeader, "pg-a", 30);
    }

    [Fact]
    public void An_agent_that_has_seen_nothing_yet_ends_nobodys_term()
    {
        _board.Update(status => status with { LastLeader = null });

        Assert.Equal(FailsafeVerdict.Accepted, Ask("pg-a", 30).Verdict);
    }

    /// <summary>A consent that is shorter than the leader counts on it would be worse than none.</summary>
    [Theory]
    [InlineData(86_400)]
    [InlineData(31)]
    public void A_leader_that_counts_on_more_than_the_ttl_gets_no_consent(int ttl) =>
        Refuses(FailsafeVerdict.TooLong, "pg-a", ttl);

    [Fact]
    public void The_longest_ttl_of_the_term_is_what_a_leader_may_count_on()
    {
        _board.Update(status =>
            status with { Timing = new Timing(Seconds(5), Seconds(2), Seconds(1)), LongestTtl = Seconds(30) });

        Assert.Equal(FailsafeVerdict.Accepted, Ask("pg-a", 30).Verdict);
        Assert.Equal(Seconds(30), Assert.Single(_kept).Binds);
    }

    [Fact]
    public void Where_the_mode_is_off_nobody_may()
    {
        _board.Update(status => status with { Config = DynamicConfig.Default });

        Refuses(FailsafeVerdict.Disabled, "pg-a", 30);
    }

    [Fact]
    public void A_primary_lets_nobody_lead()
    {
        _board.Update(status => status with { Postgres = Nodes.Primary.Postgres });

        Refuses(FailsafeVerdict.RunningAsLeader, "pg-a", 30);
    }

    [Fact]
    public void What_cannot_be_kept_is_not_given()
    {
        var consents = new FailsafeConsents(_board, null, _ => throw new IOException("disk full"), _time);

        var answer = consents.Receive(Message("pg-a", 30));

        Assert.Equal((FailsafeVerdict.NotKept, "disk full"), (answer.Verdict, answer.Problem));
        Assert.Null(_board.Current.Failsafe);
    }

    [Fact]
    public void What_an_earlier_life_consented_to_is_not_shortened()
    {
        var earlier = new FailsafeNotice("pg-a", "", "", null, _time.GetTimestamp()) { Binds = Seconds(60) };
        _time.Advance(Seconds(10));

        new FailsafeConsents(_board, earlier, _kept.Add, _time).Receive(Message("pg-a", 30));

        Assert.Equal(Seconds(50), Assert.Single(_kept).Binds);
    }

    private static TimeSpan Seconds(int seconds) => TimeSpan.FromSeconds(seconds);

    private static FailsafeMessage Message(string name, int ttl) =>
        new(name, $"postgres://{name}", $"http://{name}", null) { Ttl = Seconds(ttl) };

    private void Refuses(FailsafeVerdict verdict, string name, int ttl)
    {
        Assert.Equal(verdict, Ask(name, ttl).Verdict);
        Assert.Null(_board.Current.Failsafe);
        Assert.Empty(_kept);
    }

    private FailsafeAnswer Ask(string name, int ttl) =>
        new FailsafeConsents(_board, null, _kept.Add, _time).Receive(Message(name, ttl));
}
