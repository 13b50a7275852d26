using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Events;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.TestKit;

namespace Routing.Agent.Tests.Events;

/// <summary>The diary outlives the agent, never grows beyond its bounds, and never harms the agent.</summary>
public sealed class AgentEventsTests : IDisposable
{
    private readonly TempDirectory _directory = new("events");
    private readonly FakeTimeProvider _time = new();

    private string Path => _directory["main.events"];

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task The_next_life_knows_them_and_gives_higher_numbers()
    {
        var (events, file) = Anew();
        events.Append(EventKind.Leader, "leader_gone", "nobody holds it", new Term(7), 3,
            EventFigures.Of("was", "pg1"));
        events.Append(EventKind.Reason, "races", "races", default, 3);
        await file.Written;

        var (next, _) = Anew();

        Assert.Equal([1, 2], next.After(0).Select(item => item.Id));
        Assert.Equal(("pg1", 7L, 3U), (next.After(0)[0].Figure("was"), next.After(0)[0].Term,
            next.After(0)[0].Timeline));
        Assert.Equal(1000, next.Append(EventKind.Agent, "agent_started", "has begun", default, 0).Id);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path));
    }

    [Fact]
    public async Task The_two_files_stay_within_their_size_and_keep_the_newest()
    {
        var (events, file) = Anew(bytes: 4096);
        for (var i = 1; i <= 200; i++)
        {
            events.Append(EventKind.Reason, $"code-{i}", "a sentence", default, 1);
            await file.Written;
        }

        var kept = Anew(bytes: 4096).Events.After(0);

        Assert.InRange(new FileInfo(Path + ".1").Length, 4096, 4096 + 512);
        Assert.InRange(kept.Count, 20, 60);
        Assert.Equal("code-200", kept[^1].Code);
        Assert.Equal(kept.Count - 1, kept[^1].Id - kept[0].Id);
    }

    /// <summary>The machine went down in the middle of a line.</summary>
    [Fact]
    public async Task A_torn_last_line_is_dropped_and_what_comes_next_is_whole()
    {
        var (events, file) = Anew();
        events.Append(EventKind.Reason, "first", "a sentence", default, 1);
        events.Append(EventKind.Reason, "torn", "a sentence", default, 1);
        await file.Written;
        await using (var stream = new FileStream(Path, FileMode.Open))
        {
            stream.SetLength(stream.Length - 20);
        }

        var (next, nextFile) = Anew();
        next.Append(EventKind.Reason, "second", "a sentence", default, 1);
        await nextFile.Written;

        Assert.Equal(["first"], next.After(0).SkipLast(1).Select(item => item.Code));
        Assert.Equal(["first", "second"], Anew().Events.After(0).Select(item => item.Code));
    }

    [Fact]
    public async Task What_the_disk_does_not_take_is_counted_and_stays_in_memory()
    {
        Directory.CreateDirectory(Path);   // nothing can be appended to a directory
        var (events, file) = Anew();

        events.Append(EventKind.Reason, "one", "a sentence", default, 1);
        await file.Written;
        events.Append(EventKind.Reason, "two", "a sentence", default, 1);
        await file.Written;

        Assert.Equal(2, events.Dropped);
        Assert.Equal(["one", "two"], events.After(0).Select(item => item.Code));
        Directory.Delete(Path);
        events.Append(EventKind.Reason, "three", "a sentence", default, 1);
        await file.Written;
        Assert.Equal(["three"], Anew().Events.After(0).Select(item => item.Code));
    }

    /// <summary>A pipe that nobody reads is a disk that does not answer: to open it waits for ever.</summary>
    [Fact]
    public async Task A_disk_that_hangs_holds_nobody_up()
    {
        using (var mkfifo = Process.Start("mkfifo", [Path]))
        {
            await mkfifo.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        var file = new EventFile(Path, NullLogger.Instance);
        var events = new AgentEvents(_time, 100, "pg1", file);

        for (var i = 1; i <= 5000; i++)
        {
            events.Append(EventKind.Reason, $"code-{i}", "a sentence", default, 1);
        }

        Assert.False(file.Written.IsCompleted);
        Assert.Equal("code-5000", events.After(0)[^1].Code);
        Assert.InRange(events.Dropped, 1, 5000);
        // The disk is back: what was waiting is written, or counted, and the task ends.
        await using var reader = new FileStream(Path, FileMode.Open, FileAccess.Read);
        var reading = reader.CopyToAsync(Stream.Null, TestContext.Current.CancellationToken);
        await file.Written.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        await reading.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
    }

    [Fact]
    public void The_ring_keeps_as_many_as_it_may()
    {
        var events = new AgentEvents(_time, capacity: 3);
        for (var i = 1; i <= 5; i++)
        {
            events.Append(EventKind.Reason, $"code-{i}", "a sentence", default, 1);
        }

        Assert.Equal([3, 4, 5], events.After(0).Select(item => item.Id));
        Assert.Equal([5], events.After(4).Select(item => item.Id));
        Assert.Equal((3, 5), (events.FirstId, events.LastId));
    }

    /// <summary>The agent has lost its file: a reader that goes on from a number of before reads all.</summary>
    [Fact]
    public async Task A_number_that_was_never_given_shows_everything()
    {
        var events = new AgentEvents(_time);
        events.Append(EventKind.Reason, "code", "a sentence", default, 1);

        await events.WaitAsync(700, TestContext.Current.CancellationToken);

        Assert.Equal([1], events.After(700).Select(item => item.Id));
    }

    private (AgentEvents Events, EventFile File) Anew(long bytes = EventFile.DefaultBytes)
    {
        var file = new EventFile(Path, NullLogger.Instance, bytes);
        var events = new AgentEvents(_time, 100, "pg1", file);
        events.Recall();
        return (events, file);
    }
}
