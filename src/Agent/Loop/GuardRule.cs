using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>When the guards of a primary stand ready, and when they stand down.</summary>
internal static class GuardRule
{
    /// <summary>
    /// Arms the guards for a postmaster that accepts writes or may do so, and disarms them for any other.
    /// </summary>
    public static void Apply(Observation o, IPrimaryGuard guard)
    {
        // Of a silent server only its last role is known: its files, and the last command to it, say more.
        var mayWrite = o.Job is { MakesPrimary: true }
            || o.Local.AcceptsWrites || o.Local.PromotionAsked
            || o.Local is { HasProcess: true, HasRecoverySignal: false };
        if (mayWrite && !o.Paused && o.Local.PostmasterPid > 0 && o.Lease.HoldsLeader && o.Job?.Kind != JobKind.Demote)
        {
            guard.Arm(o.Local.PostmasterPid);
        }
        else if (o.Paused || (!mayWrite && !(o.Leads && o.Local.HasProcess)))
        {
            guard.Disarm();   // not of a standby that is about to be promoted: what was prepared for it stays
        }
    }
}
