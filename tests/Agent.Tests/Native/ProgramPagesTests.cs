using Routing.Agent.Native;

namespace Routing.Agent.Tests.Native;

public sealed class ProgramPagesTests
{
    [Fact]
    public void The_code_is_let_go_of_and_comes_back() =>
        Assert.All(Enumerable.Range(0, 3), _ => Assert.True(ProgramPages.Forget() > 0));
}
