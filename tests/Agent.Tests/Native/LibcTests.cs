using Routing.Agent.Native;
using Routing.TestKit;

namespace Routing.Agent.Tests.Native;

/// <summary>The C library is called by names that are looked up when they are called first.</summary>
public sealed class LibcTests
{
    /// <summary>Debian 11 has it; EL9 has 2.34.</summary>
    private static readonly Version s_oldest = new(2, 31);

    /// <summary><see cref="Spawner"/> does without.</summary>
    private const string Dispensable = "posix_spawn_file_actions_addclosefrom_np";

    [Fact]
    public void No_call_needs_a_newer_library_than_the_oldest_that_we_run_on() =>
        Assert.DoesNotContain(
            CLibrary.NewerThan(typeof(Libc).Assembly, s_oldest),
            complaint => !complaint.StartsWith(Dispensable, StringComparison.Ordinal));
}
