using Npgsql;
using Routing.Cluster;
using Routing.Driver.Members;
using Routing.Driver.Opening;

namespace Routing.Driver.Tests.Opening;

/// <summary>Callers before a full pool go on one at a time.</summary>
public sealed class PlaceInLineTests : IDisposable
{
    private readonly MemberPool _pool = new(
        "a", new HostPort("127.0.0.1", 1), PoolPurpose.Write, NpgsqlDataSource.Create("Host=127.0.0.1;Port=1"),
        TimeProvider.System);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _pool.Dispose();

    [Theory, InlineData(true), InlineData(false)]
    public async Task The_second_caller_has_its_turn_when_the_first_one_leaves(bool isAsync)
    {
        var first = new PlaceInLine();
        using var second = new PlaceInLine();

        Assert.True(await first.EnterAsync(_pool, TimeSpan.FromMinutes(1), isAsync, Cancellation));
        Assert.True(await first.EnterAsync(_pool, TimeSpan.FromMinutes(1), isAsync, Cancellation));
        Assert.False(await second.EnterAsync(_pool, TimeSpan.FromMilliseconds(1), isAsync, Cancellation));
        first.Dispose();
        Assert.True(await second.EnterAsync(_pool, TimeSpan.FromMinutes(1), isAsync, Cancellation));
    }

    [Fact]
    public async Task Without_time_there_is_no_turn_also_for_the_caller_that_has_it()
    {
        using var place = new PlaceInLine();
        Assert.True(await place.EnterAsync(_pool, TimeSpan.FromMinutes(1), isAsync: true, Cancellation));

        Assert.False(await place.EnterAsync(_pool, TimeSpan.Zero, isAsync: true, Cancellation));
    }
}
