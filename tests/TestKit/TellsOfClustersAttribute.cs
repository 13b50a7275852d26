using System.Reflection;
using Xunit;
using Xunit.v3;

namespace Routing.TestKit;

/// <summary>
/// Prints the ends of the agents' logs after a test that failed, for the clusters of its collection: a failure that
/// nobody can repeat has to be understood from what the run printed.
/// </summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class TellsOfClustersAttribute : BeforeAfterTestAttribute
{
    /// <inheritdoc/>
    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        var context = TestContext.Current;
        if (context.TestState?.Result == TestResult.Failed)
        {
            context.TestOutputHelper?.WriteLine(TestCluster.ReportOf(context.TestCollection?.UniqueID));
        }
    }
}
