using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Agent.Events;
using Routing.Agent.Metrics;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Cluster.Overview;
using Routing.Dcs;
using Routing.Hosting.Logging;

namespace Routing.Agent.Rest;

/// <summary>Finds the answer to one request: by its method and the first segment of its path.</summary>
internal sealed partial class RestHandler(
    IAgentControl control, AgentEvents events, AgentMetrics metrics, ILogQueue log, TimeProvider time, ILogger logger)
    : IDisposable
{
    /// <summary>A header of <c>/liveness</c>: a random name of this life of the agent.</summary>
    public const string AgentHeader = "Routing-Agent";

    /// <summary>What has an answer of its own, by method and first segment of the path.</summary>
    public static readonly RestRoutes Routes = new(
    [
        RestRoute.Open("GET", "patroni", (rest, context, settings) => rest.PatroniAsync(context, settings)),
        RestRoute.Open("GET", "liveness", (rest, context, _) => rest.Liveness(context)),
        RestRoute.Open("GET", "readiness",
            (rest, context, _) => StatusOnly(context, HealthCheck.IsReady(rest.View(), context.Request.Query))),
        RestRoute.Open("GET", "cluster", (rest, context, settings) => rest.ClusterAsync(context, settings)),
        RestRoute.Open("GET", "history", (rest, context, settings) => rest.HistoryAsync(context, settings)),
        RestRoute.Open("GET", "config", (rest, context, settings) => rest.ConfigAsync(context, settings)),
        RestRoute.Open("GET", "failsafe", (rest, context, settings) => rest.FailsafeAsync(context, settings)),
        RestRoute.Open("GET", "metrics", (rest, context, settings) => rest.MetricsAsync(context, settings)),
        RestRoute.Open("GET", "events", (rest, context, settings) => rest._events.AnswerAsync(context, settings)),
        RestRoute.Open("GET", "why", (rest, context, settings) => rest.WhyAsync(context, settings)),
        RestRoute.Open("GET", "members", (rest, context, settings) => rest.MembersAsync(context, settings)),
        RestRoute.Open("GET", "backup", (rest, context, settings) => rest.BackupAsync(context, settings)),
        RestRoute.Open("GET", "ui", (_, context, settings) => DashboardPage.AnswerAsync(context, settings)),
        RestRoute.Open("GET", OpenApi.FileName, (_, context, settings) => OpenApi.AnswerAsync(context, settings)),
        RestRoute.Guarded("PATCH", "config",
            (rest, context, settings) => rest._configChange.PatchAsync(context, settings)),
        RestRoute.Guarded("PUT", "config",
            (rest, context, settings) => rest._configChange.ReplaceAsync(context, settings)),
        RestRoute.Guarded("POST", "switchover",
            (rest, context, settings) => rest._leaderChange.RequestAsync(context, settings, "switchover")),
        RestRoute.Guarded("POST", "failover",
            (rest, context, settings) => rest._leaderChange.RequestAsync(context, settings, "failover")),
        RestRoute.Guarded("DELETE", "switchover",
            (rest, context, settings) => rest._leaderChange.CancelAsync(context, settings)),
        new RestRoute("POST", "failsafe", RouteAccess.Failsafe,
            (rest, context, settings) => rest.PostFailsafeAsync(context, settings)),
        RestRoute.Guarded("POST", "reload", (rest, context, settings) => rest.ReloadAsync(context, settings)),
        RestRoute.Guarded("POST", "restart",
            (rest, context, settings) => rest._restart.RequestAsync(context, settings)),
        RestRoute.Guarded("DELETE", "restart",
            (rest, context, settings) => rest._restart.CancelAsync(context, settings)),
        RestRoute.Guarded("POST", "reinitialize",
            (rest, context, settings) => rest._reinitialize.RequestAsync(context, settings)),
        RestRoute.Guarded("POST", "remote",
            (rest, context, settings) => rest._remote.AnswerAsync(context, settings)),
        RestRoute.Guarded("POST", "sigterm", (_, context, settings) =>
            context.SayAsync(settings, StatusCodes.Status202Accepted, "shutdown scheduled")),
        RestRoute.Guarded("POST", "citus",
            (_, context, settings) => context.SayAsync(settings, StatusCodes.Status200OK, "OK")),
        RestRoute.Open("POST", "mpp",
            (_, context, settings) => context.SayAsync(settings, StatusCodes.Status200OK, "OK")),
    ]);

    private static readonly TimeSpan s_freshEnough = TimeSpan.FromMilliseconds(20);

    private readonly LeaderChangeRequest _leaderChange = new(control, time, logger);
    private readonly ConfigChange _configChange = new(control, logger);
    private readonly RestartRequest _restart = new(control, time, logger);
    private readonly ReinitializeRequest _reinitialize = new(control, logger);
    private readonly RemoteRequest _remote = new(control, time);
    private readonly EventsRequest _events = new(control, events, time);
    private readonly LeaseTimes _leases = new(control, time);
    private Rules? _rules;

    /// <summary>Takes settings for the requests that begin from now on.</summary>
    public async Task UseAsync(RestSettings settings, CancellationToken cancellationToken) =>
        Volatile.Write(ref _rules,
            new Rules(settings, await AccessControl.CreateAsync(settings, time, logger, cancellationToken)));

    /// <summary>The listener is about to close: what never ends by itself ends now.</summary>
    public void EndStreams() => _events.EndStreams();

    public void Dispose() => _events.Dispose();

    /// <summary>Answers one request.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        var rules =
            Volatile.Read(ref _rules) ?? throw new InvalidOperationException("The settings come before the requests.");
        try
        {
            await RouteAsync(context, rules);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client went away: no answer is needed.
        }
        catch (ClusterStoreException problem)
        {
            LogFailed(context.Request.Method, context.Request.Path, problem);
            await context.ErrorAsync(rules.Settings, StatusCodes.Status503ServiceUnavailable, problem.Message);
        }
        catch (BadHttpRequestException problem)
        {
            await context.ErrorAsync(rules.Settings, problem.StatusCode, problem.Message);
        }
        catch (Exception problem) when (!context.Response.HasStarted)
        {
            LogFailed(context.Request.Method, context.Request.Path, problem);
            await context.ErrorAsync(rules.Settings, StatusCodes.Status500InternalServerError);
        }
    }

    private Task RouteAsync(HttpContext context, Rules rules)
    {
        var method = context.Request.Method;
        var path = context.Request.Path.Value is { Length: > 0 } text ? text : "/";
        if (Routes.Find(method, path.TrimStart('/').Split('/')[0]) is { } route)
        {
            return route.Access == RouteAccess.Open
                ? route.AnswerAsync(this, context, rules.Settings)
                : GuardedAsync(context, rules, route);
        }
        return method switch
        {
            "GET" => HealthAsync(context, rules.Settings, path),
            "HEAD" or "OPTIONS" => StatusOnly(context, HealthCheck.Passes(View(), path, context.Request.Query)),
            _ => context.ErrorAsync(
                rules.Settings, StatusCodes.Status501NotImplemented, $"Unsupported method ({method} {path})"),
        };
    }

    private HealthView View() => new(control.Status, time);

    private Task Liveness(HttpContext context)
    {
        context.Response.Headers[AgentHeader] = control.Id;
        return StatusOnly(context, View().IsAlive);
    }

    private static Task StatusOnly(HttpContext context, bool passes)
    {
        context.StatusOnly(passes ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
        return Task.CompletedTask;
    }

    private async Task GuardedAsync(HttpContext context, Rules rules, RestRoute route)
    {
        var isFailsafe = route.Access == RouteAccess.Failsafe;
        if (await rules.Access.CheckAsync(context, isFailsafe, control.Status.Cluster, time) is { } refusal)
        {
            if (refusal.Code == StatusCodes.Status401Unauthorized)
            {
                context.Response.Headers.WWWAuthenticate = "Basic realm=\"Patroni\"";
            }
            await context.SayAsync(rules.Settings, refusal.Code, refusal.Sentence);
            return;
        }
        await route.AnswerAsync(this, context, rules.Settings);
    }

    private Task HealthAsync(HttpContext context, RestSettings settings, string path)
    {
        var view = View();
        var code = HealthCheck.Passes(view, path, context.Request.Query)
            ? StatusCodes.Status200OK
            : StatusCodes.Status503ServiceUnavailable;
        return context.JsonAsync(settings, code, json => StatusDocument.Write(json, view, log));
    }

    private Task PatroniAsync(HttpContext context, RestSettings settings)
    {
        var view = View();
        if (view.Age > s_freshEnough
            && context.Request.Headers.UserAgent.ToString().StartsWith("Patroni/", StringComparison.Ordinal))
        {
            // A member that races or hands over asks again when our position is old: the loop looks at the server now.
            control.LookNow();
        }
        return context.JsonAsync(settings, StatusCodes.Status200OK, json => StatusDocument.Write(json, view, log));
    }

    private async Task ClusterAsync(HttpContext context, RestSettings settings)
    {
        var snapshot = await control.Store.ReadAsync(context.RequestAborted);
        await context.JsonAsync(settings, StatusCodes.Status200OK,
            ClusterOverviewJson.Write(ClusterOverview.From(snapshot), control.Status.Scope));
    }

    private async Task HistoryAsync(HttpContext context, RestSettings settings)
    {
        var snapshot = View().Cluster ?? await control.Store.ReadAsync(context.RequestAborted);
        await context.JsonAsync(settings, StatusCodes.Status200OK,
            snapshot.History is { } history ? KeyWriter.History(history) : "[]");
    }

    private async Task ConfigAsync(HttpContext context, RestSettings settings)
    {
        if (context.Request.Query.ContainsKey("last"))
        {
            await context.JsonAsync(settings, StatusCodes.Status200OK, KeyWriter.Config(control.Status.Config.Raw));
            return;
        }
        var snapshot = await ReadOrLastAsync(context);
        if (snapshot.Config is { } config)
        {
            await context.JsonAsync(settings, StatusCodes.Status200OK, KeyWriter.Config(config.Raw));
        }
        else
        {
            await context.ErrorAsync(settings, StatusCodes.Status502BadGateway,
                "The cluster has no valid configuration in the DCS.");
        }
    }

    /// <summary>The present state; while the DCS is silent the last one that is still believed.</summary>
    private async Task<ClusterSnapshot> ReadOrLastAsync(HttpContext context)
    {
        try
        {
            return await control.Store.ReadAsync(context.RequestAborted);
        }
        catch (ClusterStoreException) when (View().Cluster is not null)
        {
            return View().Cluster ?? ClusterSnapshot.Empty;
        }
    }

    private Task FailsafeAsync(HttpContext context, RestSettings settings) =>
        control.Status.Cluster?.Failsafe is { IsEmpty: false } members
            ? context.JsonAsync(settings, StatusCodes.Status200OK, KeyWriter.Failsafe(members))
            : context.ErrorAsync(settings, StatusCodes.Status502BadGateway, "No failsafe members are known.");

    private Task WhyAsync(HttpContext context, RestSettings settings) => context.JsonAsync(
        settings, StatusCodes.Status200OK, json => WhyDocument.Write(json, View(), events.After(0), time));

    private async Task MembersAsync(HttpContext context, RestSettings settings)
    {
        var snapshot = await ReadOrLastAsync(context);
        var leases = await _leases.ReadAsync(snapshot, context.RequestAborted);
        await context.JsonAsync(settings, StatusCodes.Status200OK,
            json => MembersDocument.Write(json, control.Status, snapshot, leases, time.GetUtcNow()));
    }

    private async Task BackupAsync(HttpContext context, RestSettings settings)
    {
        var report = await control.BackupsAsync(context.RequestAborted);
        await context.JsonAsync(settings, StatusCodes.Status200OK,
            json => BackupDocument.Write(json, report, control.Status.Name, time.GetUtcNow()));
    }

    private async Task MetricsAsync(HttpContext context, RestSettings settings)
    {
        using var text = new MemoryStream(16 * 1024);
        var view = View();
        text.Write(Encoding.UTF8.GetBytes(StatusMetrics.Write(view)));
        metrics.Diary(events.Dropped, _events.Streams);
        metrics.Backups(control.RecallBackups(), time.GetUtcNow());
        await metrics.WriteAsync(text, view.Status, time, context.RequestAborted);
        await context.WriteAsync(settings, StatusCodes.Status200OK, "text/plain", text.ToArray());
    }

    private async Task PostFailsafeAsync(HttpContext context, RestSettings settings)
    {
        var (body, code, problem) = await RequestBody.ReadObjectAsync(context);
        if (body is not { } json)
        {
            await context.ErrorAsync(settings, code, problem);
            return;
        }
        if (FailsafeJson.Read(json) is not { } message)
        {
            await context.ErrorAsync(settings, StatusCodes.Status400BadRequest,
                "name, conn_url and api_url have to be texts.");
            return;
        }
        var answer = control.ReceiveFailsafe(message);
        if (answer.Position is { } position)
        {
            context.Response.Headers["lsn"] = position.Value.ToString(CultureInfo.InvariantCulture);
        }
        await (answer.Verdict switch
        {
            FailsafeVerdict.Accepted => context.SayAsync(settings, StatusCodes.Status200OK, "Accepted"),
            FailsafeVerdict.RunningAsLeader =>
                context.SayAsync(settings, StatusCodes.Status500InternalServerError, "Running as a leader"),
            FailsafeVerdict.NotKept => context.ErrorAsync(
                settings, StatusCodes.Status500InternalServerError,
                "The consent cannot be kept in the data directory."),
            FailsafeVerdict.NotTheLeader or FailsafeVerdict.TooLong => context.ErrorAsync(
                settings, StatusCodes.Status500InternalServerError, $"No consent: {answer.Problem}."),
            _ => context.ErrorAsync(settings, StatusCodes.Status502BadGateway, "Failsafe mode is off."),
        });
    }

    private Task ReloadAsync(HttpContext context, RestSettings settings)
    {
        control.RequestReload();
        return context.SayAsync(settings, StatusCodes.Status202Accepted, "reload scheduled");
    }

    [LoggerMessage(EventId = 4004, Level = LogLevel.Warning, Message = "{Method} {Path} failed")]
    private partial void LogFailed(string method, string path, Exception problem);

    /// <summary>What holds for a request from its begin to its end.</summary>
    private sealed record Rules(RestSettings Settings, AccessControl Access);
}
