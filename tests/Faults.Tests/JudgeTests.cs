using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>What the judge of all these tests calls a fault.</summary>
public sealed class JudgeTests
{
    [Fact]
    public async Task Two_primaries_at_once_are_found_and_an_answer_that_was_read_late_is_no_fault()
    {
        await using var cluster = await TestCluster.PrepareAsync(new() { Nodes = 2 });
        var (a, b) = (cluster.Nodes[0], cluster.Nodes[1]);

        // One after the other; the old primary's last answer read when the new one was asked already; a writer of the
        // new one that was held up.
        Assert.Null(Judge.FaultIn([Write(a, 1, 10, 20), Write(b, 2, 30, 40), Write(a, 3, 50, 60)]));
        Assert.Null(Judge.FaultIn([Write(a, 1, 10, 40), Write(b, 2, 20, 30)]));
        Assert.Null(Judge.FaultIn([Write(a, 1, 30, 40), Write(b, 2, 10, 90)]));

        // The old one takes a write after the new one has, whichever ends first; one and the same timeline at two
        // nodes.
        Assert.NotNull(Judge.FaultIn([Write(a, 1, 10, 20), Write(b, 2, 12, 14), Write(a, 1, 15, 20)]));
        Assert.NotNull(Judge.FaultIn([Write(a, 1, 50, 60), Write(a, 2, 55, 70), Write(b, 3, 10, 20)]));
        Assert.NotNull(Judge.FaultIn([Write(a, 2, 10, 20), Write(b, 2, 30, 40)]));

        static AcknowledgedWrite Write(TestNode node, int timeline, long began, long ended) =>
            new(began, node, began, ended, timeline);
    }
}
