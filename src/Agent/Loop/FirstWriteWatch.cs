using System.Globalization;
using Routing.Agent.Events;
using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>
/// Looks for the first write of a new primary, so that a failover's story has an end that clients feel.
/// </summary>
/// <remarks>
/// It runs beside the loop and decides nothing. A write is the end of a transaction that was given a number, so that a
/// transaction that only reads is none. A commit within the few milliseconds between the promotion and the first look
/// is not seen; the next one is.
/// </remarks>
/// <param name="postgres">The server.</param>
/// <param name="events">The diary.</param>
/// <param name="time">The clock.</param>
internal sealed class FirstWriteWatch(IPostgres postgres, AgentEvents events, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan s_quick = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_slow = TimeSpan.FromSeconds(1);

    /// <summary>So long it looks often: clients that wait come back within this time.</summary>
    private static readonly TimeSpan s_quickFor = TimeSpan.FromSeconds(15);

    /// <summary>After that it looks no more: no client waits to write.</summary>
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(10);

    private readonly CancellationTokenSource _end = new();
    private int _watch;

    /// <summary>The end of the search that was begun last.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    /// <summary>Looks from the end of a promotion until a client has written.</summary>
    public void See(Observation o)
    {
        if (o is { Ended: { Kind: JobKind.Promote, Result: JobResult.Done }, Lease.HoldsLeader: true })
        {
            Begin(o.Lease.Term, o.Local.Timeline);
        }
        else if (!o.Lease.HoldsLeader || !o.Local.HasProcess)
        {
            Stop();
        }
    }

    /// <summary>Begins to look; a search that is under way ends.</summary>
    /// <param name="term">The term in which this member was promoted.</param>
    /// <param name="timeline">Its timeline.</param>
    public void Begin(Term term, uint timeline)
    {
        var watch = Interlocked.Increment(ref _watch);
        Ended = LookAsync(watch, term, timeline, _end.Token);
    }

    /// <summary>The server is no primary any more.</summary>
    public void Stop() => Interlocked.Increment(ref _watch);

    public void Dispose()
    {
        _end.Cancel();
        _end.Dispose();
    }

    private async Task LookAsync(int watch, Term term, uint timeline, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        ServerWrites? first = null;
        try
        {
            while (Volatile.Read(ref _watch) == watch && time.GetElapsedTime(began) is var elapsed
                && elapsed < s_longest)
            {
                if (await postgres.WritesAsync(cancellationToken) is not { } now)
                {
                    return;   // this server cannot tell
                }
                first ??= now.IsKnown ? now : null;
                if (now.IsKnown && now.Transactions > first?.Transactions && Volatile.Read(ref _watch) == watch)
                {
                    Tell(term, timeline, now.Position, time.GetElapsedTime(began));
                    return;
                }
                await Task.Delay(elapsed < s_quickFor ? s_quick : s_slow, time, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The agent ends.
        }
    }

    private void Tell(Term term, uint timeline, Lsn position, TimeSpan after) => events.Append(
        EventKind.Write, "first_write",
        string.Create(CultureInfo.InvariantCulture,
            $"the first transaction has written, {after.TotalMilliseconds:F0} ms after the promotion"),
        term, timeline, EventFigures.Of(json =>
        {
            json.WriteString("lsn", position.ToString());
            json.WriteNumber("after_ms", Math.Round(after.TotalMilliseconds));
        }));
}
