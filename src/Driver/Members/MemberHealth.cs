using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Driver.Members;

/// <summary>
/// What attempts have shown of one member: after a failure it is left out for a while that doubles with each further
/// one.
/// </summary>
internal sealed class MemberHealth(TimeProvider time)
{
    private static readonly Backoff s_out = new(TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(8));

    private int _failures;
    private long _outUntil;

    /// <summary>Failed lately: last choice.</summary>
    public bool IsOut => Volatile.Read(ref _outUntil) is not 0 and var until && until > time.GetTimestamp();

    public void Succeeded()
    {
        if (Volatile.Read(ref _outUntil) != 0)
        {
            Volatile.Write(ref _failures, 0);
            Volatile.Write(ref _outUntil, 0);
        }
    }

    /// <summary>An attempt failed. Many that fail together count once.</summary>
    /// <returns>False: it was out already.</returns>
    public bool Failed()
    {
        var until = Volatile.Read(ref _outUntil);
        if (until != 0 && until > time.GetTimestamp())
        {
            return false;
        }
        var failures = Volatile.Read(ref _failures) + 1;
        var next = time.TimestampAfter(s_out.After(failures));
        if (Interlocked.CompareExchange(ref _outUntil, next, until) != until)
        {
            return false;   // of those that failed at the same moment another one counts
        }
        Volatile.Write(ref _failures, failures);
        return true;
    }
}
