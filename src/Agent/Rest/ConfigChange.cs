using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Cluster.Text;
using Routing.Dcs;
using Routing.Settings.Review;

namespace Routing.Agent.Rest;

/// <summary>Changes of the dynamic configuration: <c>PATCH</c> and <c>PUT /config</c>.</summary>
/// <remarks>
/// A change is judged before it is written (<see cref="ConfigReview"/>): what is wrong for certain is refused, with its
/// name. So is what this version cannot do at all: a cluster that has it configured gets no new leader. What was there
/// before does not hinder a change of something else. The query <c>force=true</c> writes all the same. Headers of the
/// answer tell what may be a mistake, and which members will need a restart.
/// </remarks>
internal sealed partial class ConfigChange(IAgentControl control, ILogger logger)
{
    /// <summary>A header for each remark on a change that was accepted.</summary>
    public const string RemarkHeader = "Routing-Remark";

    /// <summary>A header with the parameters that take effect with a restart only.</summary>
    public const string RestartHeader = "Routing-Restart";

    /// <summary>A header with the members that need this restart.</summary>
    public const string RestartMembersHeader = "Routing-Restart-Members";

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
            if (await IsRefusedAsync(context, settings, cluster, JsonElement.Parse(changed)))
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
            if (await IsRefusedAsync(context, settings, cluster, wanted))
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
    /// Answers a change that is wrong. What stands there already may stay: a change of something else, or its removal,
    /// has to be possible.
    /// </summary>
    private async Task<bool> IsRefusedAsync(
        HttpContext context, RestSettings settings, ClusterSnapshot cluster, JsonElement wanted)
    {
        var present = cluster.Config ?? DynamicConfig.Default;
        var next = DynamicConfigReader.Read(wanted, 0);
        var review = ConfigReview.Of(
            present.Raw, next.Raw, ConfigReview.ChangesParameters(present.Raw, next.Raw)
                ? await control.CatalogueAsync(context.RequestAborted)
                : null);
        var problems = review.Problems.IsEmpty
            ? await control.RefusalsAsync(present, next, context.RequestAborted)
            : review.Problems;
        if (problems.IsEmpty || IsForced(context))
        {
            Tell(context, review, problems, cluster);
            return false;
        }
        LogRefused(string.Join(' ', problems));
        await context.ErrorAsync(
            settings, StatusCodes.Status400BadRequest,
            $"The configuration was not changed: {string.Join(' ', problems)} With ?force=true it is written all the "
                + "same.");
        return true;
    }

    private static bool IsForced(HttpContext context) =>
        context.Request.Query.TryGetValue("force", out var values)
        && Scalars.TryBoolean(values.ToString(), out var forced) && forced;

    /// <summary>Reports the consequences of a change: in the log, and to the caller in headers.</summary>
    private void Tell(
        HttpContext context, ConfigReview review, ImmutableArray<string> problems, ClusterSnapshot cluster)
    {
        var headers = context.Response.Headers;
        foreach (var remark in problems.Concat(review.Remarks))
        {
            LogRemark(remark);
            headers.Append(RemarkHeader, Printable(remark));
        }
        if (!review.RestartParameters.IsEmpty)
        {
            var parameters = string.Join(", ", review.RestartParameters);
            var members = string.Join(", ", cluster.Members.Keys);
            LogRestart(parameters, members);
            headers[RestartHeader] = Printable(parameters);
            headers[RestartMembersHeader] = Printable(members);
        }
    }

    /// <summary>A header holds one line of ASCII.</summary>
    private static string Printable(string text) =>
        string.Concat(text.Replace('×', 'x').Select(letter => letter is >= ' ' and <= '~' ? letter : '?'));

    [LoggerMessage(
        EventId = 4011, Level = LogLevel.Warning, Message = "A change of the configuration was refused: {Problem}")]
    private partial void LogRefused(string problem);

    [LoggerMessage(EventId = 4012, Level = LogLevel.Warning, Message = "The configuration was changed: {Remark}")]
    private partial void LogRemark(string remark);

    [LoggerMessage(EventId = 4013, Level = LogLevel.Information,
        Message = "The configuration was changed: {Parameters} will need a restart of {Members}")]
    private partial void LogRestart(string parameters, string members);
}
