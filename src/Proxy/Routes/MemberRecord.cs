using Routing.Cluster;
using Routing.Dcs;
using Routing.Proxy.Members;

namespace Routing.Proxy.Routes;

/// <summary>What this proxy has seen of one member. Guarded by the router's lock, except for the count.</summary>
internal sealed class MemberRecord
{
    private static readonly Backoff s_out = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));
    private static readonly TimeSpan s_notReadyOut = TimeSpan.FromMilliseconds(500);

    private int _busy;
    private int _failures;

    /// <summary>Sessions and attempts.</summary>
    public int Busy => Volatile.Read(ref _busy);

    /// <summary>The timestamp until which it is out; 0: it is not.</summary>
    public long OutUntil { get; private set; }

    /// <summary>The timestamp until which it must not be used as a primary; 0: it may.</summary>
    public long RefusedUntil { get; set; }

    /// <summary>The member key's revision at the time of the refusal: a newer one ends it.</summary>
    public long RefusedAt { get; set; }

    /// <summary>Since when it has been fit, for slow start.</summary>
    public long FitSince { get; set; }

    /// <summary>Whether it was fit at the last snapshot.</summary>
    public bool WasFit { get; set; }

    /// <summary>Where it was last reached, for the probe; null before the first time.</summary>
    public RouteTarget? Target { get; set; }

    /// <summary>Counts a session or attempt.</summary>
    public void Add(int change) => Interlocked.Add(ref _busy, change);

    /// <summary>No attempt has failed since the last one that succeeded. Any thread.</summary>
    public bool TakesLogins => Volatile.Read(ref _failures) == 0;

    /// <summary>All is well.</summary>
    /// <returns>Whether that is news.</returns>
    public bool Succeeded()
    {
        var isNews = _failures != 0;
        (_failures, OutUntil) = (0, 0);
        return isNews;
    }

    /// <summary>An attempt failed: out for a while, that doubles with each failure in a row.</summary>
    public void Failed(LoginFailure failure, TimeProvider time)
    {
        _failures++;
        OutUntil = time.TimestampAfter(failure.Blame == Blame.Briefly ? s_notReadyOut : s_out.After(_failures));
    }
}
