using Xunit;

namespace Routing.Ha.Tests;

/// <summary>
/// A job that reads from another member ends when that member is not what it was chosen for any more.
/// </summary>
public sealed class JobSourceTests
{
    private static readonly LocalPostgres s_standby = Every.Server(ServerState.Running, isPrimary: false);

    [Theory]
    [InlineData(JobKind.CheckDivergence, "b", "b", 0, "busy")]
    [InlineData(JobKind.CheckDivergence, "b", null, 0, "job_cancelled")]     // this member may have to race
    [InlineData(JobKind.CheckDivergence, "b", "c", 0, "job_cancelled")]
    [InlineData(JobKind.CopySlots, "b", "b", 0, "busy")]
    [InlineData(JobKind.CopySlots, "b", null, 0, "job_cancelled")]
    [InlineData(JobKind.CopySlots, "b", "c", 0, "job_cancelled")]
    [InlineData(JobKind.Rewind, "b", "b", 0, "busy")]
    // a rewind is not broken off for a moment without a leader
    [InlineData(JobKind.Rewind, "b", null, 0, "busy")]
    [InlineData(JobKind.Rewind, "b", "c", 0, "job_cancelled")]
    [InlineData(JobKind.Clone, "b", "c", 3600, "busy")]                      // it is still there
    [InlineData(JobKind.Clone, "gone", "c", 29, "busy")]
    [InlineData(JobKind.Clone, "gone", "c", 30, "job_cancelled")]
    [InlineData(JobKind.Rewind, "gone", null, 30, "job_cancelled")]
    public void It_depends_on_the_source(JobKind kind, string source, string? leader, int silentFor, string code)
    {
        var o = Busy(kind, source, leader, silentFor);

        var decision = HaLoop.Decide(o);

        Assert.Equal(code, decision.Code);
        Assert.Equal(code == "job_cancelled", decision.Actions.Contains(new HaAction.CancelJob()));
    }

    [Fact]
    public void Nothing_is_known_of_a_source_while_the_DCS_is_silent() =>
        Assert.Equal("busy", HaLoop.Decide(Busy(JobKind.Clone, "gone", "c", 3600) with { IsDcsLive = false }).Code);

    private static Observation Busy(JobKind kind, string source, string? leader, int silentFor)
    {
        var progressedAt = Every.Now - TimeSpan.FromSeconds(silentFor);
        return Every.Of(s_standby, leader, default) with
        {
            Job = new JobView(kind, progressedAt, "reads") { Source = source },
        };
    }
}
