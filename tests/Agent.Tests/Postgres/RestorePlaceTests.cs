using Routing.Agent.Postgres.Files;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>Whatever ends a restore in the middle, both the former and the restored data are whole and found.</summary>
public sealed class RestorePlaceTests : IDisposable
{
    private const string Id = "20261130-140000";

    private readonly TempDirectory _directory = new("restore");

    private string Data => _directory["data"];

    private RestorePlace Place => new(Data, Id);

    [Fact]
    public void Restored_data_are_marked_before_they_take_the_place_and_the_former_ones_are_kept()
    {
        Make(Data, "old");
        Stage();
        Assert.Null(RestorePlace.Find(Data));

        Place.Swap();

        Assert.Equal((Id, "new", "old"), (RestorePlace.Find(Data), Text(Data), Text(Place.Aside)));
        Assert.True(Place.IsInPlace);
    }

    [Fact]
    public void Between_the_renames_the_restore_is_found_and_goes_on_or_is_undone()
    {
        Make(Data, "old");
        Stage();
        Directory.Move(Data, Place.Aside);
        Assert.Equal(Id, RestorePlace.Find(Data));
        Assert.True(Place.IsStaged);

        Place.PutBack();

        Assert.Null(RestorePlace.Find(Data));
        Assert.Equal("old", Text(Data));
        Assert.False(Directory.Exists(Place.Staging));
    }

    [Fact]
    public void Putting_back_may_be_interrupted_too()
    {
        Make(Data, "old");
        Stage();
        Place.Swap();
        Directory.Move(Data, Data + ".restore-failed");
        Assert.Equal(Id, RestorePlace.Find(Data));

        Place.PutBack();

        Assert.Equal((null, "old", "new"), (RestorePlace.Find(Data), Text(Data), Text(Data + ".restore-failed")));
    }

    [Fact]
    public void Promoted_data_are_those_of_the_cluster()
    {
        Make(Data, "old");
        Stage();
        Place.Swap();

        File.Delete(Path.Combine(Data, "recovery.signal"));   // as PostgreSQL does
        Assert.Null(RestorePlace.Find(Data));
        File.WriteAllText(Path.Combine(Data, "standby.signal"), "");
        Assert.Null(RestorePlace.Find(Data));
        RestorePlace.End(Data);
        Assert.False(File.Exists(Path.Combine(Data, "routing.restored")));
    }

    [Fact]
    public void What_stands_elsewhere_cannot_be_restored_in_place()
    {
        Make(Data, "old");
        Directory.CreateDirectory(_directory["wal"]);
        Directory.CreateSymbolicLink(Path.Combine(Data, "pg_wal"), _directory["wal"]);

        Assert.Contains("stands elsewhere", Place.Problem(), StringComparison.Ordinal);
    }

    public void Dispose() => _directory.Dispose();

    private void Stage()
    {
        Place.Prepare();
        Make(Place.Staging, "new");
        Assert.False(Place.IsStaged);
        Place.MarkStaged();
    }

    private static void Make(string directory, string text)
    {
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "PG_VERSION"), text);
    }

    private static string Text(string directory) => File.ReadAllText(Path.Combine(directory, "PG_VERSION"));
}
