using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Runs the operator's callbacks. A change of role takes the place of the start that it came with.</summary>
internal sealed class RoleCallbacks(IPostgres postgres)
{
    private Role? _told;

    /// <summary>Runs the callback that a finished job, a release or the start of this agent asks for.</summary>
    /// <param name="o">What was seen, with the memory of this run's decision.</param>
    /// <param name="decision">What was decided.</param>
    public void Run(Observation o, Decision decision)
    {
        var role = Published.Role(o);
        if (o.Ended is { Result: JobResult.Done } ended)
        {
            RunAfter(ended.Kind, role);
        }
        if (_told == Role.Primary && !o.Local.HasProcess
            && decision.Actions.Any(action => action is HaAction.ReleaseLeader))
        {
            // Its server is down and does not come back as a primary: an address that follows the role must not wait
            // for the next start.
            _told = Role.Demoted;
            postgres.RunCallback("on_role_change", Role.Demoted);
        }
        if (_told is Role.Replica or Role.StandbyLeader && role is Role.Replica or Role.StandbyLeader && role != _told
            && o.Local.Server == ServerState.Running && o.Job is null)
        {
            _told = role;   // the standby cluster has another leader; the server has not changed
            postgres.RunCallback("on_role_change", role);
        }
        if (_told is null && o.Cluster is not null && o.Local.Server == ServerState.Running && o.Job is null
            && decision.Memory.BootstrapFailure is null)
        {
            // PostgreSQL was running already when this agent started.
            _told = role;
            postgres.RunCallback("on_start", role);
        }
    }

    private void RunAfter(JobKind ended, Role role)
    {
        Role? began = ended switch
        {
            JobKind.Promote or JobKind.StartPrimary => Role.Primary,
            JobKind.Bootstrap => role is Role.Replica or Role.StandbyLeader ? Role.StandbyLeader : Role.Primary,
            JobKind.StartStandby => role == Role.StandbyLeader ? Role.StandbyLeader : Role.Replica,
            _ => null,
        };
        if (began is { } now)
        {
            postgres.RunCallback(_told is { } before && before != now ? "on_role_change" : "on_start", now);
            _told = now;
        }
        else if (ended == JobKind.Restart)
        {
            postgres.RunCallback("on_restart", _told ?? role);
        }
        else if (ended == JobKind.Demote)
        {
            postgres.RunCallback("on_stop", _told ?? Role.Replica);
        }
    }
}
