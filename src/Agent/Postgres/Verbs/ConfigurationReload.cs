using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;
using Routing.Settings.Postgres;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Puts a changed configuration into force.</summary>
internal sealed partial class ConfigurationReload(ServerContext context, ServerFiles files)
{
    private readonly ILogger _logger = context.Logger;
    private volatile bool _owesReload;
    private volatile string? _notKept;

    /// <summary>Rewrites the files, reloads where something changed, and finds pending restarts.</summary>
    /// <param name="config">The dynamic configuration from now on.</param>
    /// <param name="force">Reload also when no file changes.</param>
    /// <param name="cancellationToken">Gives up; the next call does what is left.</param>
    public async Task<StepResult> ApplyAsync(
        DynamicConfig config, bool force, CancellationToken cancellationToken)
    {
        context.Settings.Dynamic = config;
        try
        {
            _owesReload |= force;   // also when something below fails
            KeepCopy(config);
            if (context.Postmaster.Find() is not { } process)
            {
                return StepResult.Done("will be used at the next start");
            }
            var isPrimary = !context.Files.HasRecoverySignal;
            var effective = await context.Settings.ForAsync(isPrimary ? Role.Primary : Role.Replica, cancellationToken);
            var access = context.Files.AccessFiles;
            _owesReload |= await files.RewriteAsync(effective, cancellationToken);
            await using var session = await context.Connections.OpenAsync(ServerSession.Heartbeat, cancellationToken);
            if (!_owesReload)
            {
                // A standby's file keeps a limit that may not be lower than its primary's: what is wanted differs from
                // it all the same.
                context.Memory.PendingRestart = await PendingRestartAsync(session, effective, cancellationToken);
                return StepResult.Done("nothing changed");
            }
            await AcceptsAccessFilesAsync(session, access, effective.Major, cancellationToken);
            var before = await session.TextAsync("SELECT pg_conf_load_time()::text", cancellationToken);
            process.TrySignal(Signals.Hangup);
            if (!await ServerWait.ForReloadAsync(
                async () => await session.TextAsync("SELECT pg_conf_load_time()::text", cancellationToken) != before,
                context.Time, cancellationToken))
            {
                // An error in a file of the operator's keeps it from taking any of it; repeating does not help. The
                // next change tells it again.
                LogNotReloaded(ServerWait.ReloadLimit.TotalSeconds);
            }
            else
            {
                _owesReload = false;
                files.KeepCopies();
            }
            context.Memory.PendingRestart = await PendingRestartAsync(session, effective, cancellationToken);
            return StepResult.Done(context.Memory.PendingRestart.IsEmpty
                ? "reloaded"
                : $"reloaded; a restart is needed for {string.Join(", ", context.Memory.PendingRestart.Keys)}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NpgsqlException
            or InvalidDataException)
        {
            return StepResult.Failed($"the configuration could not be applied: {error.Message}");
        }
    }

    /// <summary>
    /// The parameters that <paramref name="next"/> changes and whose values the server program refuses, one sentence
    /// each. A name that it does not know is no reason: the parameter may be meant for another version, and is left out
    /// here.
    /// </summary>
    public async Task<ImmutableArray<string>> RefusalsAsync(
        DynamicConfig present, DynamicConfig next, CancellationToken cancellationToken)
    {
        try
        {
            var major = await context.Programs.VersionAsync(cancellationToken) / 10000;
            var role = context.Files.HasRecoverySignal ? Role.Replica : Role.Primary;
            var known = Free(present).ToHashSet();
            var refused = await context.Programs.RefusedAsync(
                Free(next).Where(pair => !known.Contains(pair)), context.DataDirectory, cancellationToken);
            return
            [
                .. refused.Where(
                    pair => !pair.Value.StartsWith("unrecognized configuration parameter", StringComparison.Ordinal))
                    .Select(pair => $"postgresql.parameters.{pair.Key}: PostgreSQL {major} refuses it: {pair.Value}."),
            ];

            IEnumerable<KeyValuePair<string, string>> Free(DynamicConfig config)
            {
                var combined = EffectivePostgresConfig.Combine(context.Settings.Local, config, role, major);
                return combined.Parameters.RemoveRange(combined.ControlledParameters.Keys)
                    .Concat(combined.RecoveryParameters);
            }
        }
        catch (IOException)
        {
            return [];   // the program cannot be asked, which the loop tells
        }
    }

    /// <summary>
    /// The server's own reading of the access files, before it is told to load them: one with an error would be passed
    /// over by a reload, and keep the server from its next start.
    /// </summary>
    private async Task<bool> AcceptsAccessFilesAsync(
        ServerSession session, (string? Hba, string? Ident) before, int majorVersion,
        CancellationToken cancellationToken)
    {
        var files = new (string Path, string? Last, string View, bool Exists)[]
        {
            (context.Files.Hba, before.Hba, "pg_hba_file_rules", true),
            (context.Files.Ident, before.Ident, "pg_ident_file_mappings", ServerFeatures.HasIdentView(majorVersion)),
        };
        var accepted = true;
        foreach (var (path, last, view, _) in files.Where(file => file.Exists))
        {
            var complaint = await session.TextAsync(
                $"SELECT 'line ' || line_number || ': ' || error FROM {view} WHERE error IS NOT NULL ORDER BY "
                    + "line_number LIMIT 1",
                cancellationToken);
            if (complaint is not null && context.Files.Refuse(path, last))
            {
                context.Notes.Refused(path, complaint);
                accepted = false;
            }
        }
        return accepted;
    }

    /// <summary>
    /// Parameters whose configured value differs from the one in force and that only a restart changes: those that the
    /// server flags itself, and the controlled ones, which it can't see as they stand on its command line. Not those of
    /// recovery: a promoted primary has them in force and not in its files any more, and needs no restart for that.
    /// </summary>
    private static async Task<ImmutableSortedDictionary<string, ParameterChange>> PendingRestartAsync(
        ServerSession session, EffectiveSettings effective, CancellationToken cancellationToken)
    {
        const string query =
            """
            SELECT s.name, s.setting, s.vartype, current_setting(s.name), s.pending_restart,
                   (SELECT f.setting FROM pg_file_settings f WHERE f.name = s.name
                     ORDER BY f.seqno DESC LIMIT 1)
              FROM pg_settings s
             WHERE s.context = 'postmaster' AND s.name <> 'hot_standby'
            """;
        var changes = ImmutableSortedDictionary.CreateBuilder<string, ParameterChange>(StringComparer.Ordinal);
        await using var command = new NpgsqlCommand(query, session.Connection);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        while (await row.ReadAsync(cancellationToken))
        {
            var name = row.GetString(0);
            if (RecoveryParameterNames.All.Contains(name))
            {
                continue;
            }
            var wanted = effective.Config.ControlledParameters.GetValueOrDefault(name);
            var differs = wanted is null
                ? row.GetBoolean(4)
                : !ParameterValue.Same(wanted, row.GetString(1), row.GetString(2));
            if (differs)
            {
                changes[name] =
                    new ParameterChange(row.GetString(3), wanted ?? (row.IsDBNull(5) ? null : row.GetString(5)));
            }
        }
        return changes.ToImmutable();
    }

    /// <summary>A configuration that cannot be written for a later start is in force now all the same.</summary>
    private void KeepCopy(DynamicConfig config)
    {
        try
        {
            DynamicConfigCache.Write(context.DataDirectory, config);
            _notKept = null;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            if (_notKept != problem.Message)
            {
                LogNotKept(problem.Message);
            }
            _notKept = problem.Message;
        }
    }

    [LoggerMessage(EventId = 2014, Level = LogLevel.Warning,
        Message = "The dynamic configuration could not be written to the data directory: {Problem}")]
    private partial void LogNotKept(string problem);

    [LoggerMessage(EventId = 2013, Level = LogLevel.Warning,
        Message = "PostgreSQL was told to read its configuration again and has not taken it within {Seconds} s: its "
            + "own log says whether a file has an error")]
    private partial void LogNotReloaded(double seconds);
}
