using Routing.Cluster;
using Routing.Dcs;
using Routing.Proxy.Members;

namespace Routing.Proxy.Routes;

/// <summary>What attempts at one member have shown. Guarded by the router's lock, except for the count.</summary>
internal sealed class MemberRecord
{
    private static readonly Backoff s_out = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));
    private static readonly TimeSpan s_notReadyOut = TimeSpan.FromMilliseconds(500);

    private int _busy;
    private int _failures;

    /// <summary>How many sessions and attempts the member has now.</summary>
    public int Busy => Volatile.Read(ref _busy);

    /// <summary>The timestamp until which other members are preferred, after failures; 0: none.</summary>
    public long OutUntil { get; private set; }

    /// <summary>The timestamp until which the member must not be used as a primary; 0: it may be.</summary>
    public long RefusedUntil { get; set; }

    /// <summary>The member key's revision at the time of the refusal: a newer one ends it.</summary>
    public long RefusedAt { get; set; }

    /// <summary>Since when the member has been fit, for the slow start.</summary>
    public long FitSince { get; set; }

    /// <summary>Whether the member was fit at the last snapshot.</summary>
    public bool WasFit { get; set; }

    /// <summary>The address at which the member was last reached, for the probe; null: never yet.</summary>
    public RouteTarget? Target { get; set; }

    /// <summary>Counts a session or attempt.</summary>
    public void Add(int change) => Interlocked.Add(ref _busy, change);

    /// <summary>No attempt has failed since the last one that succeeded. Any thread.</summary>
    public bool TakesLogins => Volatile.Read(ref _failures) == 0;

    /// <summary>Notes an attempt that succeeded.</summary>
    /// <returns>Whether the member counted as failed before.</returns>
    public bool Succeeded()
    {
        var isNews = _failures != 0;
        (_failures, OutUntil) = (0, 0);
        return isNews;
    }

    /// <summary>
    /// Notes an attempt that failed: other members are preferred for a time that doubles with each failure in a row.
    /// </summary>
    public void Failed(LoginFailure failure, TimeProvider time)
    {
        _failures++;
        OutUntil = time.TimestampAfter(failure.Blame == Blame.Briefly ? s_notReadyOut : s_out.After(_failures));
    }
}
