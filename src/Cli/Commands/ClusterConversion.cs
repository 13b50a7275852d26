using System.Text.Json.Nodes;
using Routing.Cli.Members;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary>What the commands that make a standby cluster, and unmake it, have in common.</summary>
internal sealed class ClusterConversion(Session session, bool isDryRun)
{
    /// <summary>The key of the dynamic configuration that lets one promotion go on against a remote primary.</summary>
    public const string BesideRemote = "routing_promote_beside_remote";

    /// <summary>How long the leader may take to change its role.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(10);

    /// <summary>The leader that has to carry it out.</summary>
    /// <exception cref="CtlException">There is none.</exception>
    public static Member Leader(ClusterSnapshot snapshot) =>
        snapshot.LeaderMember is { ApiUrl: not null } member
            ? member
            : throw new CtlException("This cluster has no leader", "A leader has to carry the conversion out.");

    /// <summary>A check that is not passed.</summary>
    /// <exception cref="CtlException">It is not forced.</exception>
    public void Objects(string problem, bool isForced)
    {
        if (!isForced)
        {
            throw new CtlException(problem, "Nothing was changed. With --force it is done all the same.");
        }
        session.Screen.WriteLine($"Forced, though {char.ToLowerInvariant(problem[0])}{problem[1..]}");
    }

    /// <summary>Prints a step, with the time.</summary>
    public void Tell(string step) => session.Screen.WriteLine($"{session.Timestamp(withFraction: false)} {step}");

    /// <summary>Changes the dynamic configuration at the leader.</summary>
    /// <returns>False in a dry run.</returns>
    /// <exception cref="CtlException">The leader did not take it.</exception>
    public async Task<bool> ChangeAsync(Member leader, JsonObject change, CancellationToken cancellationToken)
    {
        var reply = await new MemberCalls(session, isDryRun).SendAsync(
            leader, HttpMethod.Patch, "/config", change, MemberCalls.QuickTimeout, cancellationToken);
        return reply switch
        {
            null => false,
            { IsSuccess: true } => true,
            _ => throw new CtlException($"{leader.Name} did not change the configuration: {reply.Details}"),
        };
    }

    /// <summary>Waits until the cluster is what it shall be, and tells each change of its leader on the way.</summary>
    /// <exception cref="CtlException">It took too long.</exception>
    public async Task<ClusterSnapshot> WaitAsync(
        IClusterStore store, Func<ClusterSnapshot, bool> isDone, string what, CancellationToken cancellationToken)
    {
        var told = "";
        return await store.WaitAsync(
            now =>
            {
                var state = now.LeaderMember is { } leader
                    ? $"leader {leader.Name}: {leader.Role.ToWire()}, {leader.State.ToWire()}"
                    : "nobody leads";
                if (state != told)
                {
                    Tell(told = state);
                }
                return isDone(now);
            },
            s_limit, session.Time, cancellationToken)
            ?? throw new CtlException(
                $"The cluster {what} within {s_limit.TotalMinutes:0} min",
                "The configuration was changed: the leader goes on with it. See routingctl why.");
    }
}
