using Routing.Agent.Fence;
using Routing.TestKit;

namespace Routing.Agent.Tests.Fence;

public sealed class FenceDirectoryTests
{
    [Fact]
    public void The_same_data_directory_always_leads_to_the_same_private_place_outside_of_it()
    {
        using var directory = new TempDirectory("fence");
        var data = directory["data"];

        var place = FenceDirectory.For(data, configured: null);
        try
        {
            Assert.Equal(place, FenceDirectory.For(data + "/", configured: null));
            Assert.NotEqual(place, FenceDirectory.For(directory["other/data"], directory.Path));
            Assert.False(place.StartsWith(data + "/", StringComparison.Ordinal));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
                File.GetUnixFileMode(place));
        }
        finally
        {
            Directory.Delete(place);
        }
    }

    [Fact]
    public void A_configured_place_is_used_or_refused_but_never_replaced()
    {
        using var directory = new TempDirectory("fence");
        File.WriteAllText(directory["file"], "");

        Assert.StartsWith(directory["run/"], FenceDirectory.For(directory["data"], directory["run"]),
            StringComparison.Ordinal);
        Assert.Throws<IOException>(() => FenceDirectory.For(directory["data"], directory["file"]));
    }

    [Fact]
    public void A_place_that_others_may_write_to_is_refused()
    {
        using var directory = new TempDirectory("fence");
        var place = FenceDirectory.For(directory["data"], directory.Path);
        File.SetUnixFileMode(
            place, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherWrite);

        Assert.Throws<IOException>(() => FenceDirectory.For(directory["data"], directory.Path));
    }
}
