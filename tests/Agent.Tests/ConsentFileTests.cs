using System.Text.Json.Nodes;
using Routing.Agent.Fence;
using Routing.Agent.Status;
using Routing.TestKit;

namespace Routing.Agent.Tests;

/// <summary>What a member consented to binds its agent's next life.</summary>
public sealed class ConsentFileTests : IDisposable
{
    private static readonly TimeProvider s_time = TimeProvider.System;
    private readonly TempDirectory _directory = new("consent");
    private readonly ConsentFile _file;

    public ConsentFileTests()
    {
        File.WriteAllText(_directory["PG_VERSION"], "15");
        _file = new ConsentFile(_directory.Path, s_time);
    }

    private static TimeSpan SinceBoot => BootInstant.Now - new BootInstant(0);

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void A_kept_consent_comes_back_with_its_age()
    {
        var before = s_time.GetTimestamp();

        _file.Keep(Notice("a"));
        _file.Keep(Notice("b"));
        var after = s_time.GetTimestamp();
        var recalled = new ConsentFile(_directory.Path, s_time).Recall();

        Assert.Equal(("b", "postgres://b", "http://b"), (recalled.Name, recalled.ConnUrl, recalled.ApiUrl));
        // Two clocks are read one after the other: a little is lost between them, on the side of a younger consent or
        // an older one.
        Assert.InRange(s_time.GetElapsedTime(before, recalled.ReceivedAt), TimeSpan.FromSeconds(-1),
            s_time.GetElapsedTime(before, after) + TimeSpan.FromSeconds(1));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite,
            File.GetUnixFileMode(_directory[ConsentFile.FileName]));
    }

    [Fact]
    public void It_binds_the_next_life_for_as_long_as_it_bound_this_one()
    {
        _file.Keep(Notice("a") with { Binds = TimeSpan.FromSeconds(30) });

        Assert.Equal(TimeSpan.FromSeconds(30), _file.Recall().Binds);
    }

    /// <summary>Earlier versions kept whatever time they were asked for.</summary>
    [Fact]
    public void A_time_that_an_earlier_version_kept_counts_for_one_ttl()
    {
        _file.Keep(Notice("a"));
        var kept = JsonNode.Parse(File.ReadAllText(_directory[ConsentFile.FileName]))!;
        kept["binds_s"] = 86_400;
        File.WriteAllText(_directory[ConsentFile.FileName], kept.ToJsonString());

        Assert.Equal(("a", null), (_file.Recall().Name, _file.Recall().Binds));
    }

    [Fact]
    public void Without_a_file_a_consent_may_have_been_given_at_the_boot() => IsOfTheBoot(_file.Recall());

    [Theory]
    [InlineData("")]
    [InlineData("{\"leader\":")]
    [InlineData("[]")]
    [InlineData("{\"leader\":\"a\",\"boot_id\":7,\"boot_clock_ns\":\"x\"}")]
    public void A_file_that_cannot_be_read_is_like_none(string text)
    {
        File.WriteAllText(_directory[ConsentFile.FileName], text);

        IsOfTheBoot(_file.Recall());
    }

    [Theory]
    [InlineData("boot_id", "another")]
    [InlineData("boot_clock_ns", long.MaxValue)]
    public void A_file_of_another_boot_is_like_none(string field, object value)
    {
        _file.Keep(Notice("a"));
        var kept = JsonNode.Parse(File.ReadAllText(_directory[ConsentFile.FileName]))!;
        kept[field] = JsonValue.Create(value);
        File.WriteAllText(_directory[ConsentFile.FileName], kept.ToJsonString());

        IsOfTheBoot(_file.Recall());
    }

    [Fact]
    public void A_directory_without_data_is_left_alone()
    {
        File.Delete(_directory["PG_VERSION"]);

        _file.Keep(Notice("a"));

        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory.Path));
    }

    [Fact]
    public void What_cannot_be_kept_is_an_error()
    {
        Directory.CreateDirectory(_directory[ConsentFile.FileName + ".new"]);

        Assert.Throws<UnauthorizedAccessException>(() => _file.Keep(Notice("a")));
    }

    private static FailsafeNotice Notice(string leader) =>
        new(leader, $"postgres://{leader}", $"http://{leader}", null, s_time.GetTimestamp());

    private static void IsOfTheBoot(FailsafeNotice recalled)
    {
        Assert.Contains("from before this machine's start", recalled.Name, StringComparison.Ordinal);
        Assert.InRange((s_time.GetElapsedTime(recalled.ReceivedAt) - SinceBoot).Duration(), TimeSpan.Zero,
            TimeSpan.FromSeconds(1));
    }
}
