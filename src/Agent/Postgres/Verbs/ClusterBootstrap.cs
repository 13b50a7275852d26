using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Files;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Makes a new cluster: by initdb or a user's script, with its roles.</summary>
internal sealed class ClusterBootstrap(
    ServerContext context, ServerFiles files, PostmasterLaunch launch, ServerStart start, ServerStop stop,
    DataRoom room)
{
    private readonly PostBootstrap _roles = new(context);

    /// <summary>Makes it and starts it: afterwards a primary runs.</summary>
    public async Task<StepResult> BootstrapAsync(
        IProgress<string> progress, Action<CopyProgress>? onCopied, CancellationToken cancellationToken)
    {
        var bootstrap = context.Settings.Local.Bootstrap;
        if (bootstrap is null)
        {
            return StepResult.Failed("has no bootstrap section, so it does not make a new cluster");
        }
        try
        {
            var effective = await context.Settings.ForAsync(Role.Primary, cancellationToken);
            await room.EndLeftoversAsync(cancellationToken);
            context.Memory.IsBootstrapping = true;
            var script = bootstrap.Custom is null
                ? null
                : new CustomBootstrap(context, files, launch, start, stop, room);
            var made = script is not null
                ? await script.RunAsync(bootstrap.Custom!, effective, progress, onCopied, cancellationToken)
                : await RunInitDbAsync(bootstrap, effective, progress, cancellationToken);
            if (!made.Ok)
            {
                return made;
            }
            await _roles.RunAsync(bootstrap, progress, cancellationToken);
            var done = script is null
                ? StepResult.Done("initialized a new cluster")
                : await script.RestartAsync(cancellationToken);
            if (done.Ok)
            {
                context.Filling.MarkWhole();
            }
            return done;
        }
        catch (Exception error) when (
            error is IOException or UnauthorizedAccessException or InvalidDataException or NpgsqlException
                or FormatException)
        {
            return StepResult.Failed($"could not make a new cluster: {Told(error)}");
        }
        finally
        {
            context.Memory.IsBootstrapping = false;
        }
    }

    private async Task<StepResult> RunInitDbAsync(
        BootstrapSettings bootstrap, EffectiveSettings effective, IProgress<string> progress,
        CancellationToken cancellationToken)
    {
        room.PrepareEmpty();
        DataRoom.EmptyWalDirectory(bootstrap.InitDb);
        var superuser = context.Users.Superuser;
        var passwordFile =
            superuser.Password is null ? null : Path.Combine(Path.GetTempPath(), $"routing-{Guid.NewGuid():N}");
        try
        {
            List<string> arguments = ["--pgdata", context.Filling.Staging, $"--username={superuser.Username}"];
            if (passwordFile is not null)
            {
                WholeFile.Replace(passwordFile, superuser.Password + "\n");
                arguments.Add($"--pwfile={passwordFile}");
            }
            arguments.AddRange(bootstrap.InitDb.Select(option => option.ToString()));
            progress.Report("initializing new cluster");
            if (await context.Runner.RunAsync("initdb", new Command(context.Programs.InitDb, arguments), progress,
                cancellationToken) is { Ok: false } failed)
            {
                return failed;
            }
        }
        finally
        {
            if (passwordFile is not null)
            {
                File.Delete(passwordFile);
            }
        }
        DataFilling.MarkHalfMade(context.Filling.Staging);
        context.Filling.MoveUp();
        context.Files.TakeOverFromDataDirectory();
        if (effective.Config.PgHba is null && !bootstrap.PgHba.IsEmpty
            && !effective.Config.Parameters.ContainsKey("hba_file"))
        {
            context.Files.AppendHba(bootstrap.PgHba);
        }
        progress.Report("starting");
        return await start.StartAsync(new StartPlan(AsPrimary: true, null, TimeSpan.MaxValue), cancellationToken)
            == StartOutcome.Running
            ? StepResult.Done("initdb done")
            : StepResult.Failed($"PostgreSQL does not start after initdb; {context.Memory.StartProblem}");
    }

    /// <summary>
    /// What everybody may read of a failure: not the server's words on a statement, which may quote it.
    /// </summary>
    private static string Told(Exception error) =>
        error is PostgresException refused ? $"SQLSTATE {refused.SqlState}" : error.Message;
}
