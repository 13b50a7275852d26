using Routing.Agent.Fence;
using Routing.Agent.Native;
using Routing.TestKit;

namespace Routing.Agent.Tests.Fence;

/// <summary>What killed fences have left is removed, and nothing else.</summary>
public sealed class FenceSweepTests : IDisposable
{
    // the highest number that an order can name; with this start there is none
    private const int NoSuchProcess = 4_194_303;
    private static readonly DateTimeOffset s_now = DateTimeOffset.UtcNow;
    private readonly TempDirectory _place = new("fence-sweep");

    public FenceSweepTests() => Make(_place["own"]);

    public void Dispose() => _place.Dispose();

    [Fact]
    public void The_page_of_a_fence_and_an_agent_that_were_killed_is_removed()
    {
        using (var page = Page("gone"))
        {
            page.SetAgent(new ProcessStat { Pid = NoSuchProcess });
            page.PostmasterStart = 1;
            page.SetWord(FenceWord.Armed(NoSuchProcess, BootInstant.Now));   // its primary is gone as well
        }

        Assert.Equal(1, FenceSweep.BesideOf(_place["own"], s_now));
        Assert.Equal([_place["own"]], Directory.GetDirectories(_place.Path));
    }

    [Fact]
    public void Whatever_guards_or_may_guard_soon_stays()
    {
        using var locked = Page("a living fence");
        Assert.True(locked.TryLock());
        using (var page = Page("a living agent"))
        {
            page.SetAgent(ProcessStat.Self);
        }
        using (var page = Page("a primary that runs"))
        {
            page.PostmasterStart = ProcessStat.Self.StartTicks;
            page.SetWord(FenceWord.Armed(ProcessStat.Self.Pid, BootInstant.Now));
        }
        using (var page = Page("a fence that ended a moment ago"))
        {
            page.Heartbeat = BootInstant.Now;
        }
        Make(_place["an agent that starts"]);
        File.WriteAllText(Path.Combine(Make(_place["no page"]), "fence"), "something else");

        Assert.Equal(0, FenceSweep.BesideOf(_place["own"], s_now));
        Assert.Equal(7, Directory.GetDirectories(_place.Path).Length);
    }

    [Fact]
    public void What_a_fence_did_stays_until_an_agent_has_had_time_to_tell_it()
    {
        using (var page = Page("acted"))
        {
            page.Report(FencingReason.AgentGone, NoSuchProcess, 0, 0, 0, 0);
        }

        Assert.Equal(0, FenceSweep.BesideOf(_place["own"], s_now));
        Assert.Equal(1, FenceSweep.BesideOf(_place["own"], s_now + TimeSpan.FromMinutes(11)));
    }

    [Fact]
    public void What_a_fence_said_stays_for_a_week()
    {
        Page("spoke").Dispose();
        File.WriteAllText(_place["spoke/fence.log"], "something went wrong");

        Assert.Equal(0, FenceSweep.BesideOf(_place["own"], s_now));
        Assert.False(File.Exists(_place["spoke/fence"]));
        Assert.True(File.Exists(_place["spoke/fence.log"]));
        Assert.Equal(1, FenceSweep.BesideOf(_place["own"], s_now + TimeSpan.FromDays(8)));
    }

    [Fact]
    public void Directories_that_others_may_write_to_are_left_alone()
    {
        Page("open").Dispose();
        File.SetUnixFileMode(_place["open"], File.GetUnixFileMode(_place["open"]) | UnixFileMode.OtherWrite);

        Assert.Equal(0, FenceSweep.BesideOf(_place["own"], s_now));
        Assert.True(File.Exists(_place["open/fence"]));
    }

    [Fact]
    public void Beside_a_data_directory_nothing_is_touched()
    {
        Make(_place[".routing-data"]);
        Page("gone").Dispose();

        Assert.Equal(0, FenceSweep.BesideOf(_place[".routing-data"], s_now));
        Assert.True(File.Exists(_place["gone/fence"]));
    }

    private FencePage Page(string name) =>
        FencePage.OpenForAgent(Path.Combine(Make(_place[name]), FenceSettings.StateFileName));

    private static string Make(string path)
    {
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }
}
