using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Changes the upstream of a running standby.</summary>
internal sealed class UpstreamChange(ServerContext context, ServerFiles files)
{
    /// <summary>Makes a running standby stream from another upstream, by reload; null: from none.</summary>
    public async Task<StepResult> FollowAsync(Upstream? upstream, CancellationToken cancellationToken)
    {
        if (context.Postmaster.Find() is not { } process)
        {
            return StepResult.Failed("is not running");
        }
        if (!context.Files.HasRecoverySignal)
        {
            return StepResult.Failed("is not a standby; it has to be stopped first");
        }
        try
        {
            var effective = await context.Settings.ForAsync(Role.Replica, cancellationToken);
            await files.WriteAsync(
                effective, asPrimary: false, upstream,
                StandbyLimits.Raised(effective.Config, context.DataDirectory), cancellationToken);
            // primary_conninfo and primary_slot_name are read again on a reload since PostgreSQL 13.
            process.TrySignal(Signals.Hangup);
            return StepResult.Done(upstream is null ? "follows nobody" : $"follows {upstream}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return StepResult.Failed($"could not change its upstream: {error.Message}");
        }
    }
}
