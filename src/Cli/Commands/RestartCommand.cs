using System.CommandLine;
using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Routing.Cli.Members;
using Routing.Cluster;
using Routing.Cluster.Text;

namespace Routing.Cli.Commands;

/// <summary><c>restart</c>: PostgreSQL of members is restarted, now or at a given time, under conditions.</summary>
internal sealed partial class RestartCommand(Session session, RestartCommand.Request request)
{
    private const string Action = "restart";

    /// <summary>A server's shutdown checkpoint may take this long.</summary>
    public static readonly TimeSpan LongestStop = TimeSpan.FromMinutes(30);

    /// <summary>The command line.</summary>
    internal sealed record Request(string Cluster, IReadOnlyCollection<string> Members, int? Group, string Role)
    {
        public bool Any { get; init; }

        public string? Scheduled { get; init; }

        public string? OlderThan { get; init; }

        public bool Pending { get; init; }

        public TimeSpan? Timeout { get; init; }

        public bool Force { get; init; }

        public bool DryRun { get; init; }
    }

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.RequiredClusterName();
        var members = CommonOptions.MemberNames();
        var group = CommonOptions.Group();
        var role = CommonOptions.Role();
        var any = new Option<bool>("--any") { Description = "Only one of the members, by chance" };
        var scheduled = CommonOptions.Scheduled();
        var version = new Option<string?>("--pg-version")
        {
            Description = "Only while the server is older than this version",
            HelpName = "VERSION",
        };
        var pending =
            new Option<bool>("--pending") { Description = "Only where a changed setting waits for a restart" };
        var timeout = CommonOptions.Time(
            "--timeout",
            "The longest that a start may take, for example 60 or 5min; a primary that takes longer may lose the "
                + "leadership");
        var force = CommonOptions.Force();
        var dryRun = CommonOptions.DryRun();
        var command = new Command(Action,
            "Restart PostgreSQL of members, standbys before the leader (exit code 1 when one fails)")
        {
            name, members, group, role, any, scheduled, version, pending, timeout, force, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) => new RestartCommand(
            session,
            new Request(
                parsed.GetValue(name)!,
                parsed.GetValue(members) ?? [],
                parsed.GetValue(group) ?? session.OnlyGroup(),
                parsed.GetValue(role)!)
            {
                Any = parsed.GetValue(any),
                Scheduled = parsed.GetValue(scheduled),
                OlderThan = parsed.GetValue(version),
                Pending = parsed.GetValue(pending),
                Timeout = parsed.GetValue(timeout),
                Force = parsed.GetValue(force) || parsed.GetValue(dryRun),
                DryRun = parsed.GetValue(dryRun),
            }).RunAsync(cancellationToken));
    }

    private async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using var store = session.Open(request.Cluster, request.Group);
        var snapshot = await store.ReadAsync(cancellationToken);
        var choice = new MemberChoice(session, request.Cluster, request.Group, Action, request.Force);
        var chosen =
            await choice.ChooseAsync(snapshot, request.Members, request.Role, mustName: false, cancellationToken);
        var scheduledAt = await ScheduleAsync(snapshot, cancellationToken);
        if (request.Pending && scheduledAt is null)
        {
            chosen = [.. chosen.Where(member => member.PendingRestart)];
            if (chosen.Count == 0)
            {
                session.Screen.WriteLine("No member waits for a restart");
                return ExitCode.Success;
            }
        }
        await choice.ConfirmAsync(chosen, scheduledAt, cancellationToken);
        if (request.Any)
        {
            chosen = [chosen[session.Random.Next(chosen.Count)]];
        }
        var body = await BodyAsync(scheduledAt, cancellationToken);
        var patience = scheduledAt is null
            ? LongestStop + (request.Timeout ?? snapshot.Config?.PrimaryStartTimeout ?? TimeSpan.FromSeconds(300))
            : MemberCalls.QuickTimeout;
        var calls = new MemberCalls(session, request.DryRun);
        var succeeded = true;
        foreach (var member in MembersInOrder.LeaderLast(snapshot, chosen))
        {
            succeeded &= await RestartAsync(calls, member, scheduledAt, body, patience, cancellationToken);
        }
        return succeeded ? ExitCode.Success : ExitCode.Failure;
    }

    private async Task<DateTimeOffset?> ScheduleAsync(ClusterSnapshot snapshot, CancellationToken cancellationToken)
    {
        var text = request.Scheduled;
        if (text is null && !request.Force)
        {
            text = await session.Prompts.AskAsync(
                $"When should the restart take place (e.g. {ScheduleTime.Example(session.Time)}) ", "now",
                cancellationToken);
        }
        var at = ScheduleTime.Parse(text, session.Time);
        return at is not null && snapshot.Config is { Pause: true }
            ? throw new CtlException("Can't schedule restart in the paused state")
            : at;
    }

    private async Task<JsonObject> BodyAsync(DateTimeOffset? scheduledAt, CancellationToken cancellationToken)
    {
        var version = request.OlderThan;
        if (version is null && !request.Force)
        {
            version = await session.Prompts.AskAsync(
                "Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) ", "", cancellationToken);
        }
        var body = new JsonObject();
        if (request.Pending)
        {
            body["restart_pending"] = true;
        }
        if (!string.IsNullOrEmpty(version))
        {
            body["postgres_version"] = ServerVersion().IsMatch(version)
                ? version
                : throw new CtlException($"'{version}' is no version of PostgreSQL",
                    "Write X.Y, or X.Y.Z for versions before 10: 15.6, 9.5.2.");
        }
        if (scheduledAt is { } at)
        {
            body["schedule"] = IsoTime.Format(at);
        }
        if (request.Timeout is { } timeout)
        {
            body["timeout"] = (long)timeout.TotalSeconds;
        }
        return body;
    }

    private async Task<bool> RestartAsync(
        MemberCalls calls, Member member, DateTimeOffset? scheduledAt, JsonObject body, TimeSpan patience,
        CancellationToken cancellationToken)
    {
        if (scheduledAt is not null && request.Force && member.ScheduledRestart is not null)
        {
            var flushed = await calls.SendAsync(
                member, HttpMethod.Delete, "/restart", body: null, MemberCalls.QuickTimeout, cancellationToken);
            // Not found: the restart has been carried out, or taken back, in the meantime.
            if (flushed is { IsSuccess: false, Status: not HttpStatusCode.NotFound })
            {
                calls.Report(member, "flush scheduled restart", flushed);
            }
        }
        var reply = await calls.SendAsync(member, HttpMethod.Post, "/restart", body, patience, cancellationToken);
        var line = reply switch
        {
            null => null,
            { Status: HttpStatusCode.OK } => $"Success: restart on member {member.Name}",
            { Status: HttpStatusCode.Accepted } => $"Success: restart scheduled on member {member.Name}",
            { Status: HttpStatusCode.Conflict } =>
                $"Failed: another restart is already scheduled on member {member.Name}",
            _ => $"Failed: restart for member {member.Name}, {reply.Details}",
        };
        if (line is not null)
        {
            session.Screen.WriteLine(line);
        }
        return reply is null or { IsSuccess: true };
    }

    [GeneratedRegex(@"^[0-9]{1,3}\.[0-9]{1,3}(?:\.[0-9]{1,3})?\z", RegexOptions.CultureInvariant)]
    private static partial Regex ServerVersion();
}
