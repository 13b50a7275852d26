using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Agent.Rest;

/// <summary>Changes of the dynamic configuration: <c>PATCH</c> and <c>PUT /config</c>.</summary>
/// <remarks>
/// A change that brings a wrong value is refused, with the value's name: no member could use it. So is what this
/// version cannot do at all: a cluster that has it configured gets no new leader. So is a parameter's value that this
/// node's PostgreSQL does not accept. What was there before does not hinder a change of something else. What nobody
/// here knows is kept: it may be meant for another tool, or for another version of PostgreSQL.
/// </remarks>
internal sealed partial class ConfigChange(IAgentControl control, ILogger logger)
{
    /// <summary>
    /// Merges the body into the configuration: null deletes. Nothing is written when nothing changes.
    /// </summary>
    public async Task PatchAsync(HttpContext context, RestSettings settings)
    {
        var (body, code, problem) = await RequestBody.ReadObjectAsync(context);
        if (body is not { } patch)
        {
            await context.ErrorAsync(settings, code, problem);
            return;
        }
        var cluster = await control.Store.ReadAsync(context.RequestAborted);
        if (cluster.Config is not { } present)
        {
            await context.ErrorAsync(settings, StatusCodes.Status503ServiceUnavailable,
                "The cluster has no valid configuration in the DCS.");
            return;
        }
        if (KeyWriter.PatchConfig(present.Raw, patch) is { } changed)
        {
            if (await IsRefusedAsync(context, settings, present, JsonElement.Parse(changed)))
            {
                return;
            }
            var written = await control.Store.PutAsync(
                ClusterKeys.Config, changed, WriteCondition.Unchanged(present.ModRevision), 0, context.RequestAborted);
            if (!written.IsDone)
            {
                await context.ErrorAsync(settings, StatusCodes.Status409Conflict,
                    written.Problem ?? "Somebody else changed the configuration.");
                return;
            }
            control.WakeLoop();
            await context.JsonAsync(settings, StatusCodes.Status200OK, changed);
            return;
        }
        control.WakeLoop();
        await context.JsonAsync(settings, StatusCodes.Status200OK, KeyWriter.Config(present.Raw));
    }

    /// <summary>Replaces the configuration.</summary>
    public async Task ReplaceAsync(HttpContext context, RestSettings settings)
    {
        var (body, code, problem) = await RequestBody.ReadObjectAsync(context);
        if (body is not { } wanted)
        {
            await context.ErrorAsync(settings, code, problem);
            return;
        }
        var text = KeyWriter.Config(wanted);
        var cluster = await control.Store.ReadAsync(context.RequestAborted);
        if (cluster.Config is not { } present || KeyWriter.Config(present.Raw) != text)
        {
            if (await IsRefusedAsync(context, settings, cluster.Config, wanted))
            {
                return;
            }
            var written = await control.Store.PutAsync(
                ClusterKeys.Config, text, WriteCondition.Always, 0, context.RequestAborted);
            if (!written.IsDone)
            {
                await context.ErrorAsync(
                    settings, StatusCodes.Status502BadGateway, written.Problem ?? "The configuration was not written.");
                return;
            }
            control.WakeLoop();
        }
        await context.JsonAsync(settings, StatusCodes.Status200OK, text);
    }

    /// <summary>
    /// What stands there already may stay: a change of something else, or its removal, has to be possible.
    /// </summary>
    private async Task<bool> IsRefusedAsync(
        HttpContext context, RestSettings settings, DynamicConfig? present, JsonElement wanted)
    {
        var next = DynamicConfig.Parse(wanted, 0);
        if (present?.Unsupported is null && next.Unsupported is { } unsupported)
        {
            LogRefused(unsupported);
            await context.ErrorAsync(
                settings, StatusCodes.Status501NotImplemented,
                $"The configuration was not changed: {unsupported} (standby_cluster).");
            return true;
        }
        var before = present is null ? [] : present.Problems.Concat(DynamicConfigCheck.Problems(present));
        var problems = next.Problems.Concat(DynamicConfigCheck.Problems(next)).Except(before).ToList();
        if (problems.Count == 0)
        {
            problems = [.. await control.RefusalsAsync(present ?? DynamicConfig.Default, next, context.RequestAborted)];
        }
        if (problems.Count == 0)
        {
            if (DynamicConfigCheck.Correction(next) is { } correction
                && (present is null || DynamicConfigCheck.Correction(present) != correction))
            {
                LogCorrected(correction);
            }
            return false;
        }
        LogRefused(string.Join(' ', problems));
        await context.ErrorAsync(
            settings, StatusCodes.Status400BadRequest,
            $"The configuration was not changed: {string.Join(' ', problems)}");
        return true;
    }

    [LoggerMessage(
        EventId = 4011, Level = LogLevel.Warning, Message = "A change of the configuration was refused: {Problem}")]
    private partial void LogRefused(string problem);

    [LoggerMessage(EventId = 4012, Level = LogLevel.Warning,
        Message = "The configuration was changed, but does not hold as written: {Correction}")]
    private partial void LogCorrected(string correction);
}
