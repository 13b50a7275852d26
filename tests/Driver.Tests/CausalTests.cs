using NpgsqlTypes;
using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>Tokens, and where a read with a token goes.</summary>
public sealed class CausalTests : IDisposable
{
    private static readonly CausalToken s_token = new(5, new NpgsqlLogSequenceNumber(2_000_000));
    private readonly PretendTopology _topology = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _topology.Dispose();

    [Theory]
    [InlineData("5-16/B374D848", 5u, 0x16_B374D848ul)]
    [InlineData("1-0/1", 1u, 1ul)]
    [InlineData("", 0u, 0ul)]
    public void A_token_is_a_short_text(string text, uint timeline, ulong lsn)
    {
        var token = CausalToken.Parse(text);

        Assert.Equal(new CausalToken(timeline, new NpgsqlLogSequenceNumber(lsn)), token);
        Assert.Equal(text, token.ToString());
    }

    [Theory]
    [InlineData("5")]
    [InlineData("-0/1")]
    [InlineData("0-0/1")]
    [InlineData("5-0")]
    [InlineData("5-0/1x")]
    [InlineData("99999999999-0/1")]
    public void What_is_no_token_is_refused(string text) => Assert.False(CausalToken.TryParse(text, null, out _));

    [Fact]
    public void A_later_timeline_is_later_whatever_its_position()
    {
        Assert.True(CausalToken.Parse("6-0/1") > CausalToken.Parse("5-F/0"));
        Assert.Equal(CausalToken.Parse("5-2/0"),
            CausalToken.Max(CausalToken.Parse("5-1/0"), CausalToken.Parse("5-2/0")));
    }

    [Fact]
    public async Task A_replica_that_has_it_serves_at_once()
    {
        var source = Build();
        Replays("b", 1_000_000);
        Replays("c", 3_000_000);
        _topology.Change("c", member => member with { ReplayLsn = new Lsn(3_000_000) }).Lead("a");
        await WaitUntil.TrueAsync(() => source.Topology.Leader == "a");

        for (var count = 0; count < 4; count++)
        {
            await using var connection = await source.OpenConnectionAsync(s_token, Cancellation);
            Assert.Equal(_topology["c"].Port, connection.Port);
        }
    }

    [Fact]
    public async Task A_replica_that_gets_there_in_time_is_waited_for()
    {
        var source = Build(wait: 5);
        var questions = 0;
        foreach (var name in "bc")
        {
            _topology[name.ToString()].Answer = _ =>
                Reply.Of(new Lsn(Interlocked.Increment(ref questions) > 5 ? 2_000_000u : 1_999_999u));
        }
        _topology.Lead("a");

        await using var connection = await source.OpenConnectionAsync(s_token, Cancellation);

        Assert.NotEqual(_topology["a"].Port, connection.Port);
        Assert.Equal(6, questions);
    }

    [Fact]
    public async Task When_none_gets_there_in_time_the_leader_serves()
    {
        var source = Build(wait: 0.1);
        Replays("b", 1_000_000);
        Replays("c", 1_000_000);
        _topology.Lead("a");

        await using var connection = await source.OpenConnectionAsync(s_token, Cancellation);

        Assert.Equal(_topology["a"].Port, connection.Port);
    }

    [Fact]
    public async Task What_a_replica_published_is_no_proof()
    {
        var source = Build(wait: 0.1);
        Replays("b", 1_000_000);
        Replays("c", 1_000_000);   // it crashed and serves again from an earlier point
        _topology.Change("c", member => member with { ReplayLsn = new Lsn(3_000_000) }).Lead("a");

        await using var connection = await source.OpenConnectionAsync(s_token, Cancellation);

        Assert.Equal(_topology["a"].Port, connection.Port);
    }

    [Theory]
    [InlineData(4u)]
    [InlineData(6u)]
    public async Task A_token_of_another_timeline_goes_to_the_leader(uint timeline)
    {
        var source = Build();
        Replays("b", 9_000_000);
        Replays("c", 9_000_000);
        _topology.Lead("a");
        await WaitUntil.TrueAsync(() => source.Topology.Leader == "a");

        await using var connection =
            await source.OpenConnectionAsync(s_token with { Timeline = timeline }, Cancellation);

        Assert.Equal(_topology["a"].Port, connection.Port);
    }

    [Fact]
    public async Task A_replica_on_an_older_timeline_does_not_count_whatever_its_position()
    {
        var source = Build();
        Replays("b", 9_000_000);
        Replays("c", 9_000_000);
        _topology.Change("b", member => member with { Timeline = 4, ReplayLsn = new Lsn(9_000_000) }).Lead("a");
        await WaitUntil.TrueAsync(() => source.Topology.Leader == "a");

        for (var count = 0; count < 4; count++)
        {
            await using var connection = await source.OpenConnectionAsync(s_token, Cancellation);
            Assert.Equal(_topology["c"].Port, connection.Port);
        }
    }

    [Fact]
    public async Task An_empty_token_is_any_read_and_a_scope_remembers_the_latest()
    {
        var source = Build();
        _topology.Lead("a");
        Replays("b", 9_000_000);
        Replays("c", 9_000_000);
        await using var reads = new CausalDataSource(source);

        await using var first = await reads.OpenConnectionAsync(Cancellation);
        reads.Observe(s_token);
        reads.Observe(CausalToken.Parse("5-0/1"));
        await using var second = await reads.OpenConnectionAsync(Cancellation);

        Assert.NotEqual(_topology["a"].Port, first.Port);
        Assert.NotEqual(_topology["a"].Port, second.Port);
        Assert.Equal(s_token, reads.Token);
    }

    private RoutingDataSource Build(double wait = 1) =>
        _topology.Build(options => options.CausalWait = TimeSpan.FromSeconds(wait));

    private void Replays(string name, ulong position) => _topology[name].Answer = _ => Reply.Of(new Lsn(position));
}
