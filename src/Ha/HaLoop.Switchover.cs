using System.Globalization;
using Routing.Cluster;

namespace Routing.Ha;

public static partial class HaLoop
{
    private const string Prepares = "prepares_switchover";
    private const string Quiet = "awaits_quiet";

    /// <summary>PostgreSQL serves its clients while the checkpoint before a switchover is written.</summary>
    private static readonly TimeSpan s_checkpointLimit = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan s_lookAgain = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// Routers that cannot register see the announcement as well: while none is registered they get this long.
    /// </summary>
    private static readonly TimeSpan s_unheard = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// The phases before a leader hands over by request: a checkpoint, the announcement, and quiet. Null: it hands over
    /// now.
    /// </summary>
    private static Decision? BeforeHandOver(Observation o, FailoverRequest request, HandOver possible)
    {
        if (!IsAnnounced(o, request))
        {
            return null;
        }
        if (o.Memory.Switchover is not { } plan)
        {
            return new Decision(
                Prepares, "prepares a switchover: begins a checkpoint", [new HaAction.BeginCheckpoint()],
                o.Memory with { Switchover = new SwitchoverPlan(request.ModRevision, o.Now) }, s_soon);
        }
        if (plan.Intent is not { } intent)
        {
            return !(o.CheckpointedSince >= plan.Since) && o.Now - plan.Since < s_checkpointLimit
                ? Act(o, Prepares, "prepares a switchover: writes a checkpoint", s_soon, new HaAction.BeginCheckpoint())
                : Announce(o, request, plan, possible);
        }
        var waited = o.Now - plan.AnnouncedAt;
        var restless = Restless(o, plan, intent);
        if (restless is not null && waited < intent.Grace)
        {
            // Who they are changes from look to look, and each sentence is told.
            return Act(o, Quiet, "is about to hand over: waits until its routers and clients are at rest", s_lookAgain,
                new HaAction.LookAtClients());
        }
        if (restless is not null && o.Config.SwitchoverStrict)
        {
            return CallOff(o, request, intent, "switchover_called_off",
                $"after {Seconds(intent.Grace)} s it still waited for {restless}");
        }
        return null;
    }

    /// <summary>
    /// The switchover is announced to the routers: a planned one of a server that answers, to members that know of
    /// this. With a member of Patroni as its successor it goes as it always went.
    /// </summary>
    private static bool IsAnnounced(Observation o, FailoverRequest request) =>
        request.IsSwitchover && o.Config.SwitchoverGrace > TimeSpan.Zero && o.Local.Server == ServerState.Running
        && o.Local.IsPrimary && o.IsDcsLive
        && o.Cluster!.Members.Values.All(
            member => member.Routing is not null || member.Name == o.Self || member.ApiUrl is null
                || member.Tags.NoFailover || (request.Candidate is { } candidate && candidate != member.Name));

    private static Decision Announce(Observation o, FailoverRequest request, SwitchoverPlan plan, HandOver possible)
    {
        var intent = new SwitchoverIntent(
            string.Create(
                CultureInfo.InvariantCulture, $"{request.ModRevision:x}-{o.Clock.ToUnixTimeMilliseconds():x}"),
            o.Self, request.Candidate, o.Lease.Term.Revision, o.Config.SwitchoverGrace)
        {
            Deadline = o.Clock + o.Config.SwitchoverGrace,
        };
        return new Decision("announces_switchover", "announces to the routers that it is about to hand over",
            [new HaAction.WriteIntent(intent), new HaAction.LookAtClients(), possible.Ask!],
            o.Memory with { Switchover = plan with { Intent = intent, AnnouncedAt = o.Now } }, TimeSpan.Zero);
    }

    /// <summary>Who is not at rest, as the end of a sentence; null: nobody is restless.</summary>
    private static string? Restless(Observation o, SwitchoverPlan plan, SwitchoverIntent intent)
    {
        if (o.Activity is not { } activity || activity.AskedAt < plan.AnnouncedAt)
        {
            return "the server to tell which clients are in a transaction";
        }
        var parts = new List<string>();
        var routers = o.Cluster!.Routers.Values.Where(router => router.Ready != intent.Id).ToList();
        if (routers.Count > 0)
        {
            parts.Add($"{Count(routers.Count, "router")} ({Some(routers.Select(WordsOf), routers.Count)})");
        }
        if (activity.Transactions is not { } transactions)
        {
            parts.Add("PostgreSQL, which does not tell its clients' transactions");
        }
        else if (transactions > 0)
        {
            parts.Add($"{Count(transactions, "transaction")} ({Some(activity.Oldest, transactions)})");
        }
        if (parts.Count == 0 && o.Cluster.Routers.IsEmpty && o.Now - plan.AnnouncedAt < s_unheard)
        {
            parts.Add("routers that are not registered");
        }
        return parts.Count == 0 ? null : string.Join(" and ", parts);

        static string Count(int number, string noun) => number == 1 ? $"a {noun}" : $"{number} {noun}s";

        static string WordsOf(RouterRecord router) =>
            router.Busy > 0 ? $"{router.Id}: {Count(router.Busy, "busy session")}" : router.Id;

        static string Some(IEnumerable<string> names, int all)
        {
            const int most = 3;
            return string.Join(", ", names.Take(most)) + (all > most ? " …" : "");
        }
    }

    private static Decision CallOff(
        Observation o, FailoverRequest request, SwitchoverIntent intent, string code, string why) => new(
        code, $"calls the switchover off: {why}",
        [
            new HaAction.WriteIntent(intent with { CalledOff = why }), new HaAction.ClearFailover(request.ModRevision),
        ],
        o.Memory with { Switchover = null }, s_soon);

    /// <summary>
    /// A switchover that goes on for as long as its request stands. What a leader began in an earlier term, or for
    /// another request, is over.
    /// </summary>
    private static SwitchoverPlan? RememberSwitchover(Observation o, LoopMemory memory) =>
        memory.Switchover is { } plan && o.Lease.HoldsLeader && o.Cluster?.Failover?.ModRevision == plan.Request
            && (plan.Intent is null || plan.Intent.Term == o.Lease.Term.Revision)
            ? plan
            : null;

    /// <summary>An announcement that no switchover stands behind any more ends here.</summary>
    private static Decision? DecideLeftAnnouncement(Observation o) =>
        o.Cluster!.Switchover is { } left && o.IsDcsLive && left.Id != o.Memory.Switchover?.Intent?.Id
        && (left.CalledOff is null || left.Leader != o.Self)
            ? Act(o, "repairs_keys", "deletes the announcement of a switchover that is over", s_second,
                new HaAction.DeleteIntent(left.ModRevision))
            : null;

    /// <summary>While a leader waits for quiet, what else it owes goes on.</summary>
    private static bool IsWaiting(Decision decision) =>
        decision.Code == Quiet || (decision.Code == Prepares && decision.Memory.Switchover is not null);

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture);
}
