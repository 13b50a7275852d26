using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests;

/// <summary>What an agent has seen of the members is known to its next life.</summary>
public sealed class MembersFileTests : IDisposable
{
    private readonly TempDirectory _directory = new("members");

    public MembersFileTests() => File.WriteAllText(_directory["PG_VERSION"], "15");

    private static KnownMembers Known => new()
    {
        Leader = "a",
        Paused = true,
        Remote = new Upstream(new HostPort("far", 5432), "here") { Others = [new HostPort("farther", 5433)] },
        Present = KnownMembers.None.Present.Add("a", Member("a", Role.Primary))
            .Add("b", Member("b", Role.Replica) with { Routing = null }),
        Departed = KnownMembers.None.Departed.Add(
            "c", new DepartedMember(Member("c", Role.Replica), TimeSpan.Zero, Led: false, InPause: true)),
    };

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task It_comes_back_whole()
    {
        await KeepAsync(Known);

        Assert.Equal(Known, Anew().Recall());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite,
            File.GetUnixFileMode(_directory[MembersFile.FileName]));
    }

    [Fact]
    public async Task The_newest_is_what_stands_in_the_end()
    {
        var file = Anew();
        foreach (var name in Enumerable.Range(1, 50).Select(number => $"n{number}"))
        {
            file.Keep(Known with { Leader = name }, anew: false);
        }
        await file.Written;

        Assert.Equal("n50", Anew().Recall().Leader);
    }

    [Fact]
    public async Task A_copy_of_the_directory_says_nothing()
    {
        await KeepAsync(Known);
        using var other = new TempDirectory("copy");
        File.Copy(_directory[MembersFile.FileName], other[MembersFile.FileName]);

        Assert.Equal(KnownMembers.None, new MembersFile(other.Path, "pay", NullLogger.Instance).Recall());
    }

    [Fact]
    public async Task Another_cluster_s_file_says_nothing()
    {
        await KeepAsync(Known);

        Assert.Equal(KnownMembers.None, new MembersFile(_directory.Path, "other", NullLogger.Instance).Recall());
    }

    [Fact]
    public async Task It_is_written_when_there_are_data_and_again_when_they_were_replaced()
    {
        File.Delete(_directory["PG_VERSION"]);
        var file = Anew();
        file.Keep(Known, anew: false);
        await file.Written;
        Assert.False(File.Exists(_directory[MembersFile.FileName]));

        File.WriteAllText(_directory["PG_VERSION"], "15");
        file.Keep(Known, anew: false);
        await file.Written;
        File.Delete(_directory[MembersFile.FileName]);
        file.Keep(Known, anew: true);
        await file.Written;

        Assert.Equal(Known, Anew().Recall());
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"scope\":\"pay\"}")]
    public void A_file_that_cannot_be_read_is_like_none(string text)
    {
        File.WriteAllText(_directory[MembersFile.FileName], text);

        Assert.Equal(KnownMembers.None, Anew().Recall());
    }

    private MembersFile Anew() => new(_directory.Path, "pay", NullLogger.Instance);

    private async Task KeepAsync(KnownMembers known)
    {
        var file = Anew();
        file.Keep(known, anew: false);
        await file.Written;
    }

    private static Member Member(string name, Role role) => new()
    {
        Name = name, ApiUrl = $"http://{name}:8008/patroni", Role = role, Routing = new RoutingExtension("", true),
    };
}
