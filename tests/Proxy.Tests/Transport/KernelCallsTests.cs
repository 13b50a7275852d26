using Routing.Proxy.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Transport;

/// <summary>The C library is called by names that are looked up when they are called first.</summary>
public sealed class KernelCallsTests
{
    /// <summary>Debian 11 has it; EL9 has 2.34.</summary>
    private static readonly Version s_oldest = new(2, 31);

    [Fact]
    public void No_call_needs_a_newer_library_than_the_oldest_that_we_run_on() =>
        Assert.Empty(CLibrary.NewerThan(typeof(SessionServer).Assembly, s_oldest));
}
