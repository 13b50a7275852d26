using System.Net;
using System.Threading.Channels;
using Routing.Cli.Members;
using Routing.Cli.Output;
using Routing.Cli.Rest;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Dcs;

namespace Routing.Cli.Events;

/// <summary>Shows the events of all members as they happen, in one order.</summary>
/// <remarks>
/// Each member has a stream of its own. An event is held back for a moment, so that one that happened before it on
/// another member comes before it. A stream that breaks is opened again where it was.
/// </remarks>
/// <param name="session">The command's session.</param>
/// <param name="store">The cluster's keys: members come and go.</param>
/// <param name="words">The members that are meant.</param>
/// <param name="format">The output format.</param>
internal sealed class EventFollower(Session session, IClusterStore store, MemberWords words, OutputFormat format)
{
    private static readonly TimeSpan s_holdBack = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_membersAgain = TimeSpan.FromSeconds(5);

    /// <summary>An agent shows that it is there every ten seconds.</summary>
    private static readonly TimeSpan s_longestSilence = TimeSpan.FromSeconds(35);

    private readonly Channel<ClusterEvent> _arrived = Channel.CreateUnbounded<ClusterEvent>();
    private readonly Dictionary<string, Task> _streams = new(StringComparer.Ordinal);
    private Dictionary<string, Member> _members = new(StringComparer.Ordinal);

    /// <summary>The kinds of events that are shown; empty: all kinds.</summary>
    public IReadOnlyCollection<string> Kinds { get; init; } = [];

    /// <summary>Runs until the token ends it.</summary>
    /// <param name="members">The members at the start.</param>
    /// <param name="known">What was shown already: each stream begins behind it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task RunAsync(
        IReadOnlyList<Member> members, IReadOnlyList<ClusterEvent> known, CancellationToken cancellationToken)
    {
        _members = members.ToDictionary(member => member.Name, StringComparer.Ordinal);
        var last = known.GroupBy(item => item.Member).ToDictionary(
            group => group.Key, group => group.Max(item => item.Id), StringComparer.Ordinal);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            Begin(last, end.Token);
            await Task.WhenAll(PrintAsync(end.Token), LookForMembersAsync(last, end.Token));
        }
        finally
        {
            await end.CancelAsync();
            await Task.WhenAll(_streams.Values).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Begin(IReadOnlyDictionary<string, long> last, CancellationToken cancellationToken)
    {
        foreach (var name in _members.Keys.Where(name => !_streams.ContainsKey(name)).ToList())
        {
            _streams.Add(name, FollowAsync(name, last.GetValueOrDefault(name), cancellationToken));
        }
    }

    /// <summary>Members that join are followed too, and addresses that change are taken.</summary>
    private async Task LookForMembersAsync(IReadOnlyDictionary<string, long> last, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(s_membersAgain, session.Time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            try
            {
                var snapshot = await store.ReadAsync(cancellationToken);
                _members = snapshot.Members.Values
                    .Where(member => words.Members.Count == 0 || words.Members.Contains(member.Name))
                    .ToDictionary(member => member.Name, StringComparer.Ordinal);
                Begin(last, cancellationToken);
            }
            catch (ClusterStoreException)
            {
                // While the DCS does not answer, the events go on: they may report just that.
            }
        }
    }

    private async Task FollowAsync(string name, long since, CancellationToken cancellationToken)
    {
        string? told = null;
        while (true)
        {
            if (_members.GetValueOrDefault(name) is { } member)
            {
                var problem = await FollowOnceAsync(member, id => (since, told) = (id, null), since, cancellationToken);
                if (problem != told)
                {
                    session.Screen.WriteHint($"{told = problem}; it is asked again every 2 s.");
                }
            }
            await Task.Delay(s_again, session.Time, cancellationToken);
        }
    }

    /// <summary>Reads one stream to its end.</summary>
    /// <returns>Why it ended.</returns>
    private async Task<string> FollowOnceAsync(
        Member member, Action<long> seen, long since, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await session.Api.OpenStreamAsync(
                member, EventHistory.Path, since, s_longestSilence, cancellationToken);
            if (response.StatusCode != HttpStatusCode.OK
                || response.Content.Headers.ContentType?.MediaType != MemberApi.StreamType)
            {
                return MemberDocument.Missing(member, EventHistory.Path, response.StatusCode);
            }
            using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken));
            while (await LineAsync(lines, cancellationToken) is { } line)
            {
                if (line.StartsWith("data: ", StringComparison.Ordinal)
                    && ClusterEventJson.ReadLine(line["data: ".Length..]) is { } item)
                {
                    seen(item.Id);
                    if (Kinds.Count == 0 || Kinds.Contains(item.Kind))
                    {
                        _arrived.Writer.TryWrite(item);
                    }
                }
            }
            return $"{member.Name} has ended its stream";
        }
        catch (NoAnswerException e)
        {
            return $"{member.Name} gives no answer: {e.Message}";
        }
        catch (Exception e) when (e is IOException or HttpRequestException or TimeoutException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return $"the stream of {member.Name} broke: {e.Message}";
        }
    }

    private async Task<string?> LineAsync(StreamReader lines, CancellationToken cancellationToken) =>
        await lines.ReadLineAsync(cancellationToken).AsTask()
            .WaitAsync(s_longestSilence, session.Time, cancellationToken);

    private async Task PrintAsync(CancellationToken cancellationToken)
    {
        var held = new PriorityQueue<(ClusterEvent Item, long ArrivedAt), (DateTimeOffset, string, long)>();
        while (true)
        {
            if (held.Count == 0)
            {
                await _arrived.Reader.WaitToReadAsync(cancellationToken);
            }
            else
            {
                await Task.Delay(s_holdBack / 3, session.Time, cancellationToken);
            }
            while (_arrived.Reader.TryRead(out var item))
            {
                held.Enqueue((item, session.Time.GetTimestamp()), (item.Time, item.Member, item.Id));
            }
            while (held.TryPeek(out var first, out _)
                && session.Time.GetElapsedTime(first.ArrivedAt) >= s_holdBack)
            {
                held.Dequeue();
                EventText.PrintOne(
                    session.Screen.Output, first.Item, format,
                    _members.Keys.Select(name => name.Length).DefaultIfEmpty(0).Max());
            }
        }
    }
}
