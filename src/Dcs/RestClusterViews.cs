using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Cluster.Overview;

namespace Routing.Dcs;

/// <summary>
/// Views of a cluster from its agents' <c>GET /cluster</c>: all are asked at each turn, and the answer that knows most
/// counts.
/// </summary>
/// <remarks>
/// <para>Members that an answer names are asked too from then on: the configured addresses need only be a
/// beginning.</para>
/// <para>The answers know no term; the leader's timeline takes its place. An answer with an older one than was seen
/// before comes from an agent that is cut off, and counts for nothing: without a better one the last view stays, and is
/// not live.</para>
/// <para>A cluster that was made anew, or restored from a backup, has lower timelines for good. When every answer names
/// the same leader on an older timeline, for 10 s with most agents answering and for 60 s with fewer, a new count
/// begins.</para>
/// </remarks>
public sealed partial class RestClusterViews : IClusterViews, IDisposable
{
    private static readonly TimeSpan s_longestAnswer = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_hurry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_moment = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_doubtOfMost = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_doubtOfFew = TimeSpan.FromSeconds(60);
    private const int LargestAnswer = 16 * 1024 * 1024;

    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TimeSpan _interval;
    private readonly ImmutableHashSet<Uri> _seeds;
    private long _lastContact;
    private string? _problem;

    /// <summary>Creates it; nothing is asked before <see cref="WatchAsync"/>.</summary>
    /// <exception cref="ClusterStoreException">A certificate file can't be used.</exception>
    public RestClusterViews(RestOptions options, TimeProvider time, ILogger<RestClusterViews> logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_time, _logger, _interval) = (time, logger, options.Interval);
        _seeds = [.. options.Endpoints];
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = s_longestAnswer,
            UseProxy = false,
            AllowAutoRedirect = false,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            SslOptions = TlsFiles.Read(options.CaFile, options.CertificateFile, options.KeyFile),
        };
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = LargestAnswer };
    }

    /// <summary>
    /// Timestamp (of the <see cref="TimeProvider"/>) of the last answer that could be read; 0 before the first.
    /// Thread-safe.
    /// </summary>
    public long LastContact => Interlocked.Read(ref _lastContact);

    /// <inheritdoc/>
    public string? Problem
    {
        get => Volatile.Read(ref _problem);
        private set => Volatile.Write(ref _problem, value);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = new ClusterView(ClusterSnapshot.Empty, IsLive: false, LastContact: 0);
        var addresses = _seeds;
        long? doubtSince = null;
        while (true)
        {
            var begun = _time.GetTimestamp();
            var answers =
                await AskAllAsync(addresses, last.Snapshot.Revision + 1, cancellationToken).ConfigureAwait(false);
            var known = answers.Values.Where(answer => TimelineOf(answer) >= TimelineOf(last.Snapshot)).ToList();
            var life = last.Snapshot.Life.Number;
            if (known.Count > 0 || !AreOfOneLeader(answers))
            {
                doubtSince = null;
            }
            else if (_time.GetElapsedTime(doubtSince ??= begun)
                >= (answers.Count * 2 > addresses.Count ? s_doubtOfMost : s_doubtOfFew))
            {
                (known, doubtSince) = ([.. answers.Values], null);
                life++;
                LogNewLife(TimelineOf(known[0]), TimelineOf(last.Snapshot));
            }
            if (known.MaxBy(Knowledge) is { } best)
            {
                last = new ClusterView(Continue(last.Snapshot, InLife(best, life)), IsLive: true, LastContact);
                addresses = _seeds.Union(best.Members.Values.Select(RestOf).OfType<Uri>());
                yield return last;
            }
            else if (last.IsLive)
            {
                last = last with { IsLive = false };
                yield return last;
            }
            var pause =
                (IsInDoubt(last, answers) && s_hurry < _interval ? s_hurry : _interval) - _time.GetElapsedTime(begun);
            if (pause > TimeSpan.Zero)
            {
                await Task.Delay(pause, _time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    // A change of the leader is likely: no member leads, or the leader's agent is silent.
    private static bool IsInDoubt(ClusterView view, Dictionary<Uri, ClusterSnapshot> answers) =>
        view.IsLive
            && (view.Snapshot.LeaderMember is not { } leader
                || (RestOf(leader) is { } rest && !answers.ContainsKey(rest)));

    // Without a leader no member may be promoted to an older timeline than any member has.
    private static long TimelineOf(ClusterSnapshot snapshot) =>
        snapshot.Leader?.Term.Revision ?? snapshot.Members.Values.Max(member => (long?)member.Timeline) ?? 0;

    private static bool AreOfOneLeader(Dictionary<Uri, ClusterSnapshot> answers) =>
        answers.Count > 0 && answers.Values.All(answer => answer.Leader is not null)
        && answers.Values.Select(answer => (answer.Leader!.Holder, TimelineOf(answer))).Distinct().Count() == 1;

    private static ClusterSnapshot InLife(ClusterSnapshot snapshot, int life) => snapshot with
    {
        Life = new StoreLife(life, 0),
        Leader = snapshot.Leader is { } leader ? leader with { Term = leader.Term with { Life = life } } : null,
    };

    private static (long Timeline, ulong Position, int Members) Knowledge(ClusterSnapshot snapshot) =>
        (TimelineOf(snapshot), snapshot.Status.Optime.Value, snapshot.Members.Count);

    private static Uri? RestOf(Member member) =>
        Uri.TryCreate(member.ApiUrl, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
            ? new Uri(url.GetLeftPart(UriPartial.Authority))
            : null;

    // The answers know no revisions: a member counts as written anew when something about it but its position has
    // changed.
    private static ClusterSnapshot Continue(ClusterSnapshot before, ClusterSnapshot now) => now with
    {
        Members = now.Members.Values.ToImmutableSortedDictionary(
            member => member.Name,
            member => member with
            {
                ModRevision = before.Members.GetValueOrDefault(member.Name) is { } old
                    && (old.State, old.Role, old.Address, old.Timeline, old.ReplicationState, old.Site)
                        == (member.State, member.Role, member.Address, member.Timeline, member.ReplicationState,
                            member.Site)
                    ? old.ModRevision
                    : now.Revision,
            },
            now.Members.KeyComparer),
    };

    // A silent agent must not delay the answers of others: after the first answer the remaining agents get little time.
    private async Task<Dictionary<Uri, ClusterSnapshot>> AskAllAsync(
        ImmutableHashSet<Uri> addresses, long revision, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var asked = addresses.Select(address => (Address: address, Answer: AskAsync(address, revision, enough.Token)))
            .ToList();
        var left = asked.ConvertAll(one => one.Answer);
        while (left.Count > 0
            && !asked.Exists(one => one.Answer is { IsCompletedSuccessfully: true, Result: not null }))
        {
            left.Remove(await Task.WhenAny(left).ConfigureAwait(false));
        }
        if (left.Count > 0)
        {
            await Task.WhenAny(Task.WhenAll(left), Task.Delay(s_moment, _time, enough.Token)).ConfigureAwait(false);
            await enough.CancelAsync().ConfigureAwait(false);
        }
        cancellationToken.ThrowIfCancellationRequested();
        var answers = new Dictionary<Uri, ClusterSnapshot>();
        foreach (var (address, answer) in asked)
        {
            if (await answer.ConfigureAwait(false) is { } snapshot)
            {
                answers[address] = snapshot;
            }
        }
        return answers;
    }

    private async Task<ClusterSnapshot?> AskAsync(Uri address, long revision, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(s_longestAnswer, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var text = await _http.GetStringAsync(new Uri(address, "/cluster"), either.Token).ConfigureAwait(false);
            if (!ClusterOverviewReader.TryRead(text, revision, out var snapshot, out var problem))
            {
                Note(address, problem);
                return null;
            }
            Interlocked.Exchange(ref _lastContact, _time.GetTimestamp());
            Problem = null;
            return snapshot;
        }
        catch (HttpRequestException silent)
        {
            Note(address, TransportProblem.Describe(silent));
            return null;
        }
        catch (OperationCanceledException)
        {
            if (limit.IsCancellationRequested)
            {
                Note(address, $"no answer within {s_longestAnswer.TotalSeconds:0.###} s");
            }
            return null;
        }
    }

    private void Note(Uri address, string problem)
    {
        Problem = $"{address}cluster: {problem}";
        LogNoAnswer(address, problem);
    }

    [LoggerMessage(EventId = 3041, Level = LogLevel.Warning,
        Message = "Every agent that answers is on timeline {Timeline}, older than {Known}: the cluster was made anew "
            + "or restored. Counting its terms anew")]
    private partial void LogNewLife(long timeline, long known);

    [LoggerMessage(EventId = 3040, Level = LogLevel.Debug, Message = "{Address}cluster: {Problem}")]
    private partial void LogNoAnswer(Uri address, string problem);
}
