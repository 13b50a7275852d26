using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres;

/// <content>A new cluster: initdb or a custom method, roles, scripts.</content>
internal sealed partial class LocalPostgresServer
{
    private const string DuplicateObject = "42710";

    private static readonly string[] s_rewindFunctions =
    [
        "pg_catalog.pg_ls_dir(text, boolean, boolean)",
        "pg_catalog.pg_stat_file(text, boolean)",
        "pg_catalog.pg_read_binary_file(text)",
        "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)",
    ];

    /// <inheritdoc/>
    public async Task<StepResult> BootstrapAsync(IProgress<string> progress, CancellationToken cancellationToken)
    {
        var bootstrap = Settings.Bootstrap;
        if (bootstrap is null)
        {
            return StepResult.Failed("has no bootstrap section, so it does not make a new cluster");
        }
        try
        {
            var effective = await EffectiveAsync(Role.Primary, cancellationToken);
            await EndLeftoversAsync(cancellationToken);
            Memory.IsBootstrapping = true;
            string? hba = null;
            var made = bootstrap.Custom is { } custom
                ? await RunCustomBootstrapAsync(custom, effective, own => hba = own, progress, cancellationToken)
                : await RunInitDbAsync(bootstrap, effective, progress, cancellationToken);
            if (!made.Ok)
            {
                return made;
            }
            await SetUpRolesAsync(bootstrap, progress, cancellationToken);
            var done = bootstrap.Custom is null
                ? StepResult.Done("initialized a new cluster")
                : await RestartAfterCustomBootstrapAsync(hba, cancellationToken);
            if (done.Ok)
            {
                Filling.MarkWhole();
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
            Memory.IsBootstrapping = false;
        }
    }

    /// <inheritdoc/>
    public async Task<StepResult> MoveDataDirectoryAwayAsync(CancellationToken cancellationToken)
    {
        var stopped = await StopAsync(new StopPlan(StopMode.Immediate), cancellationToken);
        if (!stopped.Ok)
        {
            return stopped;
        }
        try
        {
            if (!Directory.Exists(DataDirectory))
            {
                return StepResult.Done("left nothing");
            }
            var aside = DataRemoval.SetAside(DataDirectory, DataRemoval.Failed);
            Filling.MarkFinished();
            return StepResult.Done($"moved {DataDirectory} to {aside}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return LeaveInPlace(error.Message);
        }
    }

    /// <summary>What cannot be moved is marked: the next start must not take it for a cluster.</summary>
    private StepResult LeaveInPlace(string problem)
    {
        try
        {
            Filling.MarkUseless();
            return StepResult.Done($"left {DataDirectory} as it is, marked as of no use: {problem}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return StepResult.Failed($"could not move {DataDirectory} away ({problem}), nor mark it: {error.Message}");
        }
    }

    private async Task<StepResult> RunInitDbAsync(
        BootstrapSettings bootstrap, EffectiveSettings effective, IProgress<string> progress,
        CancellationToken cancellationToken)
    {
        PrepareEmptyDirectory();
        EmptyWalDirectory(bootstrap.InitDb);
        var passwordFile =
            Users.Superuser.Password is null ? null : Path.Combine(Path.GetTempPath(), $"routing-{Guid.NewGuid():N}");
        try
        {
            List<string> arguments = ["--pgdata", Filling.Staging, $"--username={Users.Superuser.Username}"];
            if (passwordFile is not null)
            {
                PasswordFile.WriteWhole(
                    passwordFile, Users.Superuser.Password + "\n", UnixFileMode.UserRead | UnixFileMode.UserWrite);
                arguments.Add($"--pwfile={passwordFile}");
            }
            arguments.AddRange(bootstrap.InitDb.Select(option => option.ToString()));
            progress.Report("initializing new cluster");
            if (await Runner.RunAsync("initdb", new Command(Programs.InitDb, arguments), progress,
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
        DataFilling.MarkHalfMade(Filling.Staging);
        Filling.MoveUp();
        Files.TakeOverFromDataDirectory();
        if (effective.Config.PgHba is null && !bootstrap.PgHba.IsEmpty
            && !effective.Config.Parameters.ContainsKey("hba_file"))
        {
            Files.AppendHba(bootstrap.PgHba);
        }
        progress.Report("starting");
        return await StartAsync(new StartPlan(AsPrimary: true, null, TimeSpan.MaxValue), cancellationToken)
            == StartOutcome.Running
            ? StepResult.Done("initdb done")
            : StepResult.Failed($"PostgreSQL does not start after initdb; {StartProblem}");
    }

    private async Task<StepResult> RunCustomBootstrapAsync(
        CustomBootstrapSettings custom, EffectiveSettings effective, Action<string?> keepHba,
        IProgress<string> progress, CancellationToken cancellationToken)
    {
        PrepareForScript(custom.Name);
        progress.Report("running custom bootstrap script");
        List<string> arguments =
            custom.NoParameters ? [] : [$"--scope={Settings.Scope}", $"--datadir={DataDirectory}"];
        arguments.AddRange(custom.Arguments.Select(argument => $"--{argument.Key}={argument.Value}"));
        var command = ProgramRunner.CommandFor(custom.Command, [.. arguments]);
        var result = await Runner.RunScriptAsync(custom.Name, command, progress, cancellationToken);
        if (!result.Ok)
        {
            return result;
        }
        DataFilling.MarkHalfMade(DataDirectory);
        Filling.MarkFinished();
        Files.RestoreCopies();
        Files.TakeOverFromDataDirectory();
        File.Delete(Path.Combine(DataDirectory, "promote"));
        keepHba(Files.ReadHba());
        progress.Report("starting after custom bootstrap");
        var process = await SpawnAfterCustomBootstrapAsync(custom, effective, cancellationToken);
        if (await _launch.WaitUntilReadyAsync(process, TimeSpan.MaxValue, cancellationToken) != StartOutcome.Running)
        {
            return StepResult.Failed($"PostgreSQL does not start after the bootstrap script; {StartProblem}");
        }
        return await WaitForEndOfRecoveryAsync(process, progress, cancellationToken);
    }

    private async Task<PidFd> SpawnAfterCustomBootstrapAsync(
        CustomBootstrapSettings custom, EffectiveSettings effective, CancellationToken cancellationToken)
    {
        var recovery = custom.RecoveryConf;
        var asStandby = recovery is not null
            && Scalars.TryBoolean(recovery.GetValueOrDefault("standby_mode"), out var standby) && standby;
        if (recovery is not null && asStandby)
        {
            Files.SignalStandby();
        }
        else if (recovery is not null)
        {
            Files.SignalRecovery();
        }
        else if (!custom.KeepExistingRecoveryConf)
        {
            Files.RemoveSignals();
        }
        var raised = new Dictionary<string, string>(StringComparer.Ordinal);
        if (recovery?.GetValueOrDefault("recovery_target_action") == "promote" || custom.KeepExistingRecoveryConf)
        {
            // Without reads in between, lower limits than the old cluster's do not stop the recovery.
            raised["hot_standby"] = "off";
        }
        // The passwords of the cluster that the script brought back are not ours yet: let in what comes from this host.
        var plan = new FilePlan(
            effective.Config with { PgHba = ["local all all trust", "host all all samehost trust"] },
            recovery?.Where(item => item.Key != "standby_mode").ToDictionary() ?? [], null, raised);
        await _files.WriteAsync(plan, cancellationToken);
        return _launch.Spawn(effective.Config, raised);
    }

    private async Task<StepResult> WaitForEndOfRecoveryAsync(
        PidFd process, IProgress<string> progress, CancellationToken cancellationToken)
    {
        progress.Report("waiting for end of recovery after bootstrap");
        while (DataDirectoryState.Look(DataDirectory, inUse: true).Control?.File.State != ControlState.InProduction)
        {
            if (process.HasExited)
            {
                return StepResult.Failed($"PostgreSQL ended during recovery; {StartProblem}");
            }
            await Task.Delay(ServerWait.Long, Time, cancellationToken);
        }
        return StepResult.Done("recovered");
    }

    /// <summary>Recovery settings, lower limits and the open pg_hba.conf were for the bootstrap alone.</summary>
    private async Task<StepResult> RestartAfterCustomBootstrapAsync(string? hba, CancellationToken cancellationToken)
    {
        if (hba is not null)
        {
            Files.Replace(Files.Hba, hba);
        }
        var stopped = await StopAsync(new StopPlan(StopMode.Fast), cancellationToken);
        if (!stopped.Ok)
        {
            return stopped;
        }
        return await StartAsync(new StartPlan(AsPrimary: true, null, TimeSpan.MaxValue), cancellationToken)
            == StartOutcome.Running
            ? StepResult.Done("initialized a new cluster by a script")
            : StepResult.Failed($"PostgreSQL does not start again after the bootstrap; {StartProblem}");
    }

    private async Task SetUpRolesAsync(
        BootstrapSettings bootstrap, IProgress<string> progress, CancellationToken cancellationToken)
    {
        progress.Report("running post-bootstrap");
        await using (var session = await OpenLocalAsync(ServerSession.Quiet, cancellationToken))
        {
            await CreateOrAlterAsync(session, Users.Superuser, "SUPERUSER", cancellationToken);
            foreach (var (index, statement) in bootstrap.PostBootstrapSql.SelectMany(SqlText.Statements).Index())
            {
                await RunStatementAsync(session, index + 1, statement, cancellationToken);
            }
        }
        if (bootstrap.PostBootstrapCommand is { } command)
        {
            await RunPostBootstrapCommandAsync(command, progress, cancellationToken);
        }
        await using (var session = await OpenLocalAsync(ServerSession.Quiet, cancellationToken))
        {
            await CreateOrAlterAsync(session, Users.Replication, "REPLICATION", cancellationToken);
            if (Users.Rewind is { } rewind)
            {
                await CreateOrAlterAsync(session, rewind, "", cancellationToken);
                foreach (var function in s_rewindFunctions)
                {
                    await session.ExecuteAsync(
                        $"GRANT EXECUTE ON FUNCTION {function} TO {SqlText.Identifier(rewind.Username)}",
                        cancellationToken);
                }
            }
        }
    }

    private static async Task CreateOrAlterAsync(
        ServerSession session, PostgresUser user, string attributes, CancellationToken cancellationToken)
    {
        var exists = await session.TextAsync(
            $"SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {SqlText.Literal(user.Username)}",
            cancellationToken) is not null;
        var password = user.Password is null ? "" : $" PASSWORD {SqlText.Literal(user.Password)}";
        await session.ExecuteAsync(
            $"{(exists ? "ALTER" : "CREATE")} ROLE {SqlText.Identifier(user.Username)} WITH LOGIN "
                + $"{attributes}{password}",
            cancellationToken);
    }

    /// <summary>
    /// Runs a statement of the user's list. A role that exists already gets the attributes that it was to be created
    /// with.
    /// </summary>
    private async Task RunStatementAsync(
        ServerSession session, int number, string statement, CancellationToken cancellationToken)
    {
        try
        {
            await ExecuteOrAlterAsync(session, statement, cancellationToken);
        }
        catch (PostgresException error)
        {
            // The server's words may quote the statement, and with it a password; what is returned here is told to
            // everybody.
            LogStatementFailed(number, error.SqlState, error.MessageText);
            throw new IOException(
                $"statement {number} of post_bootstrap failed (SQLSTATE {error.SqlState}); the agent's log has the "
                    + "server's words");
        }
    }

    private static async Task ExecuteOrAlterAsync(
        ServerSession session, string statement, CancellationToken cancellationToken)
    {
        try
        {
            await session.ExecuteAsync(statement, cancellationToken);
        }
        catch (PostgresException error) when (error.SqlState == DuplicateObject
            && RoleStatement.AsAlter(statement) is { } alterations)
        {
            foreach (var alteration in alterations)
            {
                await session.ExecuteAsync(alteration, cancellationToken);
            }
        }
    }

    private async Task RunPostBootstrapCommandAsync(
        string text, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var process = Postmaster.Find() ?? throw new IOException("PostgreSQL ended before the post-bootstrap script.");
        var file = Postmaster.ReadFile(process) ?? throw new IOException("PostgreSQL has no postmaster.pid.");
        var effective = await EffectiveAsync(Role.Primary, cancellationToken);
        var address = _context.Connections.AddressOf(file, effective.Config);
        PasswordFile.Write(Settings.Postgres.PasswordFile, [(address.Host, address.Port, Users.Superuser)]);
        var connection =
            ProgramConnection.ForScript(Settings, Users.Superuser, address, effective.Config, effective.Major);
        var command = ProgramRunner.CommandFor(text, connection.Text) with
        {
            Environment =
                connection.Environment.SetItem("PGOPTIONS", "-c synchronous_commit=local -c statement_timeout=0"),
        };
        if (await Runner.RunScriptAsync("post_bootstrap", command, progress, cancellationToken) is { Ok: false } failed)
        {
            throw new IOException(failed.Detail);
        }
    }

    /// <summary>
    /// What everybody may read of a failure: not the server's words on a statement, which may quote it.
    /// </summary>
    private static string Told(Exception error) =>
        error is PostgresException refused ? $"SQLSTATE {refused.SqlState}" : error.Message;

    [LoggerMessage(EventId = 2016, Level = LogLevel.Error,
        Message = "Statement {Number} of post_bootstrap failed: SQLSTATE {SqlState}: {Problem}")]
    private partial void LogStatementFailed(int number, string sqlState, string problem);
}
