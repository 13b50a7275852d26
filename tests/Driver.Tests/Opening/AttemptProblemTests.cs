using System.Net.Sockets;
using Npgsql;
using Routing.Cluster;
using Routing.Driver.Members;
using Routing.Driver.Opening;

namespace Routing.Driver.Tests.Opening;

/// <summary>What the failure of an attempt means for the open and for the member.</summary>
public sealed class AttemptProblemTests : IDisposable
{
    private static readonly NpgsqlException s_exhausted = new(
        "The connection pool has been exhausted, either raise 'Max Pool Size' (currently 1)", new TimeoutException());

    private readonly MemberPool _pool = new(
        "a", new HostPort("127.0.0.1", 1), PoolPurpose.Write, NpgsqlDataSource.Create("Host=127.0.0.1;Port=1"),
        TimeProvider.System);

    public static TheoryData<Exception, bool, bool> Failures => new()
    {
        { new SocketException((int)SocketError.ConnectionRefused), true, true },
        { new IOException("reset"), true, true },
        { new SilentMemberException(TimeSpan.FromSeconds(1)), true, true },
        { new StillWaitingException(), true, false },   // it answers
        { s_exhausted, true, false },                   // its clients are many
        { new OperationCanceledException(), true, false },
        { new NpgsqlException("broken", new IOException("reset")), true, true },
        { new NpgsqlException("no password"), false, true },
        { new InvalidOperationException("a fault of this program"), false, true },
        { Refused(PostgresErrorCodes.CannotConnectNow), true, true },
        { Refused(PostgresErrorCodes.InvalidPassword), false, true },
    };

    public void Dispose() => _pool.Dispose();

    [Theory, MemberData(nameof(Failures), DisableDiscoveryEnumeration = true)]
    public void It_is_tried_again_or_told_and_held_against_the_member_or_not(
        Exception problem, bool isRepeated, bool isAgainstMember)
    {
        Assert.Equal(isRepeated, AttemptProblem.MayTryAgain(problem, _pool, isCallerGone: false));
        Assert.Equal(isAgainstMember, AttemptProblem.IsAgainstMember(problem));
    }

    [Fact]
    public void A_caller_that_gave_up_is_not_served_by_another_attempt() =>
        Assert.False(AttemptProblem.MayTryAgain(new OperationCanceledException(), _pool, isCallerGone: true));

    [Fact]
    public void A_pool_that_is_gone_is_left_for_another_one_and_any_other_disposal_is_told()
    {
        var problem = new ObjectDisposedException("pool");

        Assert.False(AttemptProblem.MayTryAgain(problem, _pool, isCallerGone: false));
        _pool.Dispose();
        Assert.True(AttemptProblem.MayTryAgain(problem, _pool, isCallerGone: false));
    }

    [Fact]
    public void The_words_name_the_cause_where_Npgsql_names_none()
    {
        Assert.Equal(
            "broken (reset)", AttemptProblem.Describe(new NpgsqlException("broken", new IOException("reset"))));
        Assert.Equal("it left the cluster", AttemptProblem.Describe(new ObjectDisposedException("pool")));
    }

    private static PostgresException Refused(string code) => new("refused", "FATAL", "FATAL", code);
}
