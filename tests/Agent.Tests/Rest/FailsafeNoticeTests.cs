using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Rest;
using Routing.Agent.Status;

namespace Routing.Agent.Tests.Rest;

/// <summary>
/// How long a consent binds: never shorter than the leader counts on it, whatever the ttl is changed to meanwhile.
/// </summary>
public sealed class FailsafeNoticeTests
{
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData(30, 3, 30)]
    [InlineData(3, 30, 30)]
    [InlineData(null, 5, 5)]
    public void It_binds_for_the_longer_of_the_leaders_ttl_and_ours(int? leaders, int ours, int binds) =>
        Assert.Equal(TimeSpan.FromSeconds(binds), Of(leaders, ours, null).Binds);

    [Fact]
    public void A_ttl_that_is_shortened_later_does_not_end_it()
    {
        var notice = Of(null, 30, null);

        _time.Advance(TimeSpan.FromSeconds(20));

        Assert.Equal(TimeSpan.FromSeconds(10), notice.Left(TimeSpan.FromSeconds(3), _time.GetTimestamp(), _time));
    }

    [Fact]
    public void A_later_and_shorter_one_does_not_end_an_earlier_one()
    {
        var first = Of(30, 30, null);
        _time.Advance(TimeSpan.FromSeconds(4));

        var second = Of(3, 3, first);

        Assert.Equal(TimeSpan.FromSeconds(26), second.Binds);
    }

    [Fact]
    public void The_message_tells_the_leaders_ttl()
    {
        var written = FailsafeJson.Write(
            new FailsafeMessage("a", "postgres://a", "http://a", null) { Ttl = TimeSpan.FromSeconds(5) });

        Assert.Equal(TimeSpan.FromSeconds(5), Read(written).Ttl);
        Assert.Equal(5, JsonElement.Parse(written).GetProperty("routing").GetProperty("ttl").GetInt32());
    }

    [Theory]
    [InlineData("""{"name":"a","conn_url":"b","api_url":"c"}""")]
    [InlineData("""{"name":"a","conn_url":"b","api_url":"c","routing":7}""")]
    [InlineData("""{"name":"a","conn_url":"b","api_url":"c","routing":{"ttl":"30"}}""")]
    [InlineData("""{"name":"a","conn_url":"b","api_url":"c","routing":{"ttl":-1}}""")]
    [InlineData("""{"name":"a","conn_url":"b","api_url":"c","routing":{"ttl":1e300}}""")]
    public void A_message_without_a_sensible_ttl_is_read_without(string text) =>
        Assert.Null(Read(System.Text.Encoding.UTF8.GetBytes(text)).Ttl);

    private static FailsafeMessage Read(byte[] text) => FailsafeJson.Read(JsonElement.Parse(text))!;

    private FailsafeNotice Of(int? leaders, int ours, FailsafeNotice? before) => FailsafeNotice.Of(
        new FailsafeMessage("a", "postgres://a", "http://a",
            null) { Ttl = leaders is { } seconds ? TimeSpan.FromSeconds(seconds) : null },
        TimeSpan.FromSeconds(ours), before, _time);
}
