using System.Collections.Immutable;
using System.Text.Json;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Ha;

namespace Routing.Agent.Tests.Rest;

/// <summary><c>GET /why</c>, state by state.</summary>
public sealed class WhyTests
{
    [Fact]
    public async Task The_leader_says_that_it_leads_and_what_commits_wait_for()
    {
        var primary = Nodes.Primary with { ReasonCode = "leads", Reason = "is the leader" };
        var why = await WhyAsync(primary with
        {
            Config = DynamicConfig.Default with { SynchronousMode = SynchronousMode.Quorum },
            Postgres = primary.Postgres with
            {
                SynchronousStandbyNames = "ANY 1 (\"pg-b\",\"pg-c\")",
                Standbys = [new StandbyRow("pg-b", "replicator", null, "streaming", "quorum", 1,
                    new Lsn(117440990), new Lsn(117440990), new Lsn(117440990), new Lsn(117440000))],
            },
        });

        Assert.True(why.GetProperty("is_leader").GetBoolean());
        Assert.Equal("pg-a", why.GetProperty("leader").GetString());
        Assert.Equal("leader_leads", why.GetProperty("no_failover").GetProperty("code").GetString());
        Assert.Equal(JsonValueKind.Null, why.GetProperty("if_leader_gone").ValueKind);
        Assert.InRange(why.GetProperty("figures").GetProperty("lease_left_ms").GetInt64(), 1, 300_000);
        var commit = why.GetProperty("commit");
        Assert.Equal("quorum", commit.GetProperty("mode").GetString());
        Assert.Equal(1, commit.GetProperty("waits_for").GetInt32());
        var standbys = commit.GetProperty("standbys").EnumerateArray().ToList();
        Assert.Equal(["pg-b", "pg-c"], standbys.Select(standby => standby.GetProperty("name").GetString()));
        Assert.Equal(10, standbys[0].GetProperty("lag").GetInt32());
        Assert.Equal("disconnected", standbys[1].GetProperty("state").GetString());
    }

    [Fact]
    public async Task A_standby_names_the_leader_and_what_it_would_do_without_it()
    {
        var why = await WhyAsync(Nodes.Replica with { Seen = Seen(Nodes.Replica) });

        Assert.False(why.GetProperty("is_leader").GetBoolean());
        Assert.Equal("pg-b is not the leader: pg-a holds the leader key. pg-b follows pg-a.",
            why.GetProperty("answer").GetString());
        Assert.True(why.GetProperty("if_leader_gone").GetProperty("would_lead").GetBoolean());
        Assert.Equal("races", why.GetProperty("if_leader_gone").GetProperty("code").GetString());
        Assert.Equal(JsonValueKind.Null, why.GetProperty("commit").ValueKind);
        Assert.Equal(0, why.GetProperty("figures").GetProperty("lag").GetInt64());
    }

    [Fact]
    public async Task Without_a_leader_it_says_by_which_rule_it_does_not_take_over()
    {
        var status = Nodes.Replica with
        {
            Cluster = Nodes.Replica.Cluster! with { Leader = null },
            ReasonCode = "lagging",
            Reason = "does not race: it lacks 2000000 bytes",
        };

        var why = await WhyAsync(status);

        Assert.Equal(JsonValueKind.Null, why.GetProperty("leader").ValueKind);
        Assert.Equal("lagging", why.GetProperty("no_failover").GetProperty("code").GetString());
        Assert.Equal("pg-b is not the leader, and nobody is: it does not race: it lacks 2000000 bytes.",
            why.GetProperty("answer").GetString());
    }

    [Fact]
    public async Task A_silent_etcd_is_the_reason_why_nobody_takes_over()
    {
        var why = await WhyAsync(Nodes.Silent(Nodes.Replica));

        Assert.Equal("dcs_silent", why.GetProperty("no_failover").GetProperty("code").GetString());
    }

    [Fact]
    public async Task An_agent_that_knows_nothing_yet_answers_all_the_same()
    {
        var why = await WhyAsync(new AgentStatus { Scope = "pay", Name = "pg-a" });

        Assert.Equal("pg-a does not lead: etcd has not answered it yet.", why.GetProperty("answer").GetString());
        Assert.Equal(JsonValueKind.Null, why.GetProperty("last").ValueKind);
    }

    [Fact]
    public async Task The_last_change_of_leader_is_told_by_the_diary()
    {
        await using var host = await RestHost.StartAsync(Nodes.Replica);
        host.Events.Append(EventKind.Leader, "leader_changed", "pg-c leads", new Term(40), 3,
            Agent.Events.EventFigures.Of("leader", "pg-c"));
        host.Events.Append(EventKind.Leader, "leader_gone", "nobody leads", new Term(40), 3,
            Agent.Events.EventFigures.Of("was", "pg-c"));
        host.Events.Append(EventKind.Leader, "leader_changed", "pg-a leads", new Term(42), 3,
            Agent.Events.EventFigures.Of("leader", "pg-a", "was", null));

        var last = (await host.JsonAsync("/why")).GetProperty("last");

        Assert.Equal(("failover", "pg-c", "pg-a"), (last.GetProperty("kind").GetString(),
            last.GetProperty("from").GetString(), last.GetProperty("to").GetString()));
        Assert.Equal(FailoverStory.PhaseNames,
            last.GetProperty("phases").EnumerateArray().Select(phase => phase.GetProperty("name").GetString()!));
        Assert.False(last.GetProperty("complete").GetBoolean());
    }

    private static async Task<JsonElement> WhyAsync(AgentStatus status)
    {
        await using var host = await RestHost.StartAsync(status);
        return await host.JsonAsync("/why");
    }

    private static Observation Seen(AgentStatus status) => new()
    {
        Self = status.Name,
        Cluster = status.Cluster! with
        {
            Members = ImmutableSortedDictionary<string, Member>.Empty
                .Add("pg-a", Member("pg-a", Role.Primary)).Add("pg-b", Member("pg-b", Role.Replica)),
        },
        IsDcsLive = true,
        Local = status.Postgres,
    };

    private static Member Member(string name, Role role) => new()
    {
        Name = name, Role = role, State = PostgresState.Running, ApiUrl = $"http://{name}:8008/patroni",
    };
}
