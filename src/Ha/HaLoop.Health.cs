using Routing.Ha.Health;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>
    /// Gives the leadership up because this leader's server is unwell. Null: the server is well, or no member could
    /// take over.
    /// </summary>
    private static Decision? DecideHealth(Observation o)
    {
        var health = o.Memory.Health;
        if (o.Paused || !o.IsDcsLive || !HealthRules.MayGiveUp(health, o.Config.Health, o.Now))
        {
            return null;
        }
        // A standby that has everything up to our last known position has written it to its own disk: that one works.
        var possible = CanHandOver(o, candidate: null, isFailover: true, required: o.Local.WalPosition);
        if (possible.AskFirst is { } ask)
        {
            var isEarly = o.Memory.HealthAskedAt is { } at && o.Now - at < o.Timing.LoopWait;
            return isEarly ? null : ask with { Memory = ask.Memory with { HealthAskedAt = o.Now } };
        }
        if (!possible.Ok)
        {
            // an unwell leader is better than none; the code of the decision that follows names the problem
            return null;
        }
        var code = "unhealthy_" + HealthRules.Name(health.Problem);
        return new Decision(
            code, $"gives its leadership up: {Sentence(o)}, and {possible.Detail}",
            [new HaAction.Demote(DemoteMode.Immediate)],
            o.Memory with { Demoted = true, DownSince = null, BarredFromRaceUntil = o.Now + (2 * o.Timing.Ttl) },
            s_second);
    }

    /// <summary>The decision, with the server's problem added to its reason.</summary>
    private static Decision WithHealth(Observation o, Decision decision) =>
        o.Memory.Health.Problem == HealthProblem.None
            || decision.Code is not ("leads" or "unresponsive" or "synchronous_waits")
            ? decision
            : decision with
            {
                Code = "unhealthy_" + HealthRules.Name(o.Memory.Health.Problem),
                Reason = $"{decision.Reason}; its PostgreSQL is unwell: {Sentence(o)}",
            };

    private static string Sentence(Observation o) =>
        $"{HealthRules.Name(o.Memory.Health.Problem).Replace('_', ' ')}: {o.Memory.Health.Detail}";
}
