using System.Collections.Immutable;
using System.Text.Json;

namespace Routing.Demo;

/// <summary>Something that happened at a member or to the writer.</summary>
internal sealed record Event(DateTimeOffset Time, string Text)
{
    public override string ToString() => $"{Time.ToLocalTime():HH:mm:ss.fff}  {Text}";
}

/// <summary>Asks every member a few times a second how it is, and collects their events.</summary>
internal sealed class Observer : IAsyncDisposable
{
    private const int EventsKept = 200;
    private static readonly TimeSpan s_period = TimeSpan.FromMilliseconds(200);
    private readonly CancellationTokenSource _end = new();
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(1) };
    private readonly DemoCluster _cluster;
    private readonly Dictionary<string, long> _lastEvent = new(StringComparer.Ordinal);
    private readonly Task _work;
    private ImmutableList<MemberState> _members;
    private ImmutableList<Event> _events = [];

    public Observer(DemoCluster cluster)
    {
        _cluster = cluster;
        _members = [.. cluster.Nodes.Select(node => new MemberState(node.Name))];
        _work = WorkAsync();
    }

    public ImmutableList<MemberState> Members => Volatile.Read(ref _members);

    /// <summary>The last events of all members, oldest first.</summary>
    public ImmutableList<Event> Events => Volatile.Read(ref _events);

    /// <summary>The only primary there is; null: none, or more than one.</summary>
    public MemberState? Primary => Members.Where(member => member.IsPrimary).ToList() is [var only] ? only : null;

    /// <summary>Everybody does what they should, on one timeline, and two voters confirm commits.</summary>
    public bool IsWhole
    {
        get
        {
            var members = Members;
            return members.Count(member => member.IsPrimary) == 1
                && members.Count(member => member.IsStreaming && member.IsVoter) == members.Count - 1
                && members.All(member => member.Timeline == members[0].Timeline);
        }
    }

    /// <summary>One line about everybody.</summary>
    public override string ToString() => string.Join(", ", Members.Select(member => member.Answers
        ? $"{member.Name}: {member.Role} {(member.ReplicationState is { Length: > 0 } state ? state : member.State)} "
            + $"on timeline {member.Timeline}"
            + (member.IsVoter ? ", votes" : "")
        : $"{member.Name}: no answer"));

    public void Note(string text) => Note(DateTimeOffset.Now, text);

    private void Note(DateTimeOffset time, string text) => ImmutableInterlocked.Update(
        ref _events,
        static (events, added) =>
        {
            // Members are asked in turn: what happened earlier may be heard of later.
            var place = events.FindLastIndex(known => known.Time <= added.Time) + 1;
            events = events.Insert(place, added);
            return events.Count > EventsKept ? events.RemoveAt(0) : events;
        },
        new Event(time, text));

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _work;
        _http.Dispose();
        _end.Dispose();
    }

    private async Task WorkAsync()
    {
        while (!_end.IsCancellationRequested)
        {
            var members = await Task.WhenAll(_cluster.Nodes.Select(AskAsync));
            Volatile.Write(ref _members, [.. members]);
            await Task.Delay(s_period, _end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<MemberState> AskAsync(Node node)
    {
        try
        {
            // The code says only whether it is a primary; the document is there in each case.
            using var answer = await _http.GetAsync(new Uri(node.Rest, "patroni"), _end.Token);
            var state = MemberState.Parse(node.Name, await answer.Content.ReadAsStringAsync(_end.Token));
            await TakeEventsAsync(node);
            return state;
        }
        catch (Exception problem) when (problem is HttpRequestException or OperationCanceledException or JsonException)
        {
            lock (_lastEvent)
            {
                _lastEvent.Remove(node.Name);   // a new agent counts from 1 again
            }
            return new MemberState(node.Name);
        }
    }

    private async Task TakeEventsAsync(Node node)
    {
        long after;
        lock (_lastEvent)
        {
            after = _lastEvent.GetValueOrDefault(node.Name);
        }
        using var document =
            JsonDocument.Parse(await _http.GetStringAsync(new Uri(node.Rest, $"events?after={after}"), _end.Token));
        foreach (var entry in document.RootElement.GetProperty("events").EnumerateArray())
        {
            after = entry.GetProperty("id").GetInt64();
            Note(entry.GetProperty("time").GetDateTimeOffset(),
                $"{node.Name}: {entry.GetProperty("text").GetString()}");
        }
        lock (_lastEvent)
        {
            _lastEvent[node.Name] = after;
        }
    }
}
