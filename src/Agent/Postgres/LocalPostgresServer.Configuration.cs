using System.Collections.Immutable;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres;

/// <content>Configuration: files, reload, synchronous_standby_names, pending restarts.</content>
internal sealed partial class LocalPostgresServer
{
    private const string SynchronousNames = "synchronous_standby_names";

    private static readonly TimeSpan s_reloadLimit = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _filesGate = new(1, 1);
    private string? _synchronousNames;
    private bool _knowsSynchronousNames;
    private volatile bool _owesReload;
    private volatile bool _owesCopies;

    /// <inheritdoc/>
    public async Task<StepResult> SetSynchronousStandbyNamesAsync(string? names, CancellationToken cancellationToken)
    {
        await _filesGate.WaitAsync(cancellationToken);
        (_synchronousNames, _knowsSynchronousNames) = (names, true);
        _filesGate.Release();
        if (Postmaster.Find() is not { } process)
        {
            return StepResult.Done("will be set at the next start");
        }
        try
        {
            var isPrimary = !Files.HasRecoverySignal;
            var effective = await EffectiveAsync(isPrimary ? Role.Primary : Role.Replica, cancellationToken);
            await RewriteAsync(effective, cancellationToken);
            await using var session = await OpenLocalAsync(ServerSession.Heartbeat, cancellationToken);
            process.TrySignal(Signals.Hangup);
            if (names is null && effective.Dynamic.SynchronousMode == SynchronousMode.Off)
            {
                return StepResult.Done($"{SynchronousNames} is the operator's again");
            }
            var wanted = names ?? "";
            return await WaitForAsync(
                async () => await session.TextAsync($"SELECT current_setting('{SynchronousNames}')", cancellationToken)
                    == wanted,
                cancellationToken)
                ? StepResult.Done($"{SynchronousNames} is '{wanted}'")
                : StepResult.Failed(
                    $"{SynchronousNames} did not become '{wanted}': something outside postgresql.conf sets it, "
                    + "or PostgreSQL refuses to reload its files");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NpgsqlException)
        {
            return StepResult.Failed($"{SynchronousNames} could not be set: {error.Message}");
        }
    }

    /// <inheritdoc/>
    public async Task<StepResult> ApplyConfigurationAsync(
        DynamicConfig config, bool force, CancellationToken cancellationToken)
    {
        _context.Settings.Dynamic = config;
        try
        {
            _owesReload |= force;   // also when something below fails
            DynamicConfigCache.Write(DataDirectory, config);
            if (Postmaster.Find() is not { } process)
            {
                return StepResult.Done("will be used at the next start");
            }
            var isPrimary = !Files.HasRecoverySignal;
            var effective = await EffectiveAsync(isPrimary ? Role.Primary : Role.Replica, cancellationToken);
            var access = Files.AccessFiles;
            _owesReload |= await RewriteAsync(effective, cancellationToken);
            await using var session = await OpenLocalAsync(ServerSession.Heartbeat, cancellationToken);
            if (!_owesReload)
            {
                // A standby's file keeps a limit that may not be lower than its primary's: what is wanted differs from
                // it all the same.
                Memory.PendingRestart = await PendingRestartAsync(session, effective, cancellationToken);
                return StepResult.Done("nothing changed");
            }
            await AcceptsAccessFilesAsync(session, access, effective.Major, cancellationToken);
            var before = await session.TextAsync("SELECT pg_conf_load_time()::text", cancellationToken);
            process.TrySignal(Signals.Hangup);
            if (!await WaitForAsync(
                async () => await session.TextAsync("SELECT pg_conf_load_time()::text", cancellationToken) != before,
                cancellationToken))
            {
                // An error in a file of the operator's keeps it from taking any of it; repeating does not help. The
                // next change tells it again.
                LogNotReloaded(s_reloadLimit.TotalSeconds);
            }
            else
            {
                _owesReload = false;
                KeepCopies();
            }
            Memory.PendingRestart = await PendingRestartAsync(session, effective, cancellationToken);
            return StepResult.Done(Memory.PendingRestart.IsEmpty
                ? "reloaded"
                : $"reloaded; a restart is needed for {string.Join(", ", Memory.PendingRestart.Keys)}");
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
            var major = await Programs.VersionAsync(cancellationToken) / 10000;
            var role = Files.HasRecoverySignal ? Role.Replica : Role.Primary;
            var known = Free(present).ToHashSet();
            var refused = await Programs.RefusedAsync(
                Free(next).Where(pair => !known.Contains(pair)), DataDirectory, cancellationToken);
            return
            [
                .. refused.Where(
                    pair => !pair.Value.StartsWith("unrecognized configuration parameter", StringComparison.Ordinal))
                    .Select(pair => $"postgresql.parameters.{pair.Key}: PostgreSQL {major} refuses it: {pair.Value}."),
            ];

            IEnumerable<KeyValuePair<string, string>> Free(DynamicConfig config)
            {
                var combined = EffectivePostgresConfig.Combine(Settings, config, role, major);
                return combined.Parameters.RemoveRange(combined.ControlledParameters.Keys)
                    .Concat(combined.RecoveryParameters);
            }
        }
        catch (IOException)
        {
            return [];   // the program cannot be asked, which the loop tells
        }
    }

    /// <summary>Writes the files for the role that the server has now, following whom it follows now.</summary>
    private Task<bool> RewriteAsync(EffectiveSettings effective, CancellationToken cancellationToken)
    {
        var asPrimary = effective.Role == Role.Primary;
        var upstream = asPrimary
            ? null
            : RecoverySettings.Read(Files.Find("primary_conninfo"), Files.Find("primary_slot_name"));
        var raised = asPrimary ? [] : RaisedForStandby(effective.Config);
        return WriteFilesAsync(effective, asPrimary, upstream, raised, cancellationToken);
    }

    private async Task<bool> WriteFilesAsync(
        EffectiveSettings effective, bool asPrimary, Upstream? upstream, IReadOnlyDictionary<string, string> raised,
        CancellationToken cancellationToken)
    {
        await _filesGate.WaitAsync(cancellationToken);
        try
        {
            var recovery = asPrimary
                ? []
                : RecoverySettings.ForStandby(effective.Local, effective.Config, upstream, effective.Major);
            if (upstream is not null)
            {
                PasswordFile.Write(Settings.Postgres.PasswordFile, upstream.Address, Users);
            }
            var changed = await Files.WriteAsync(
                new FilePlan(effective.Config, recovery, ManagedSynchronousNames(effective.Dynamic), raised),
                file => Programs.ComplaintAsync(file, DataDirectory, cancellationToken));
            _owesCopies |= changed;
            return changed;
        }
        finally
        {
            _filesGate.Release();
        }
    }

    /// <summary>The server has accepted the files: their copies are the last good ones from now on.</summary>
    private void KeepCopies()
    {
        if (_owesCopies)
        {
            Files.SaveCopies();
            _owesCopies = false;
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
        var files = new (string Path, string? Last, string View, int Since)[]
        {
            (Files.Hba, before.Hba, "pg_hba_file_rules", 10),
            (Files.Ident, before.Ident, "pg_ident_file_mappings", 15),
        };
        var accepted = true;
        foreach (var (path, last, view, since) in files.Where(file => majorVersion >= file.Since))
        {
            var complaint = await session.TextAsync(
                $"SELECT 'line ' || line_number || ': ' || error FROM {view} WHERE error IS NOT NULL ORDER BY "
                    + "line_number LIMIT 1",
                cancellationToken);
            if (complaint is not null && Files.Refuse(path, last))
            {
                _context.Notes.Refused(path, complaint);
                accepted = false;
            }
        }
        return accepted;
    }

    /// <summary>
    /// While a synchronous mode is on the value is the agent's, and stands in the file also when it is empty: else an
    /// included file would have the word. An agent that has just started finds its predecessor's there: without it a
    /// commit could be acknowledged that no standby has. Null: the value is the operator's.
    /// </summary>
    private string? ManagedSynchronousNames(DynamicConfig dynamic)
    {
        var isOn = dynamic.SynchronousMode != SynchronousMode.Off;
        if (!_knowsSynchronousNames)
        {
            _knowsSynchronousNames = true;
            _synchronousNames = isOn ? Files.Find(SynchronousNames) : null;
        }
        return isOn ? _synchronousNames ?? "" : _synchronousNames;
    }

    private async Task<bool> WaitForAsync(Func<Task<bool>> condition, CancellationToken cancellationToken)
    {
        var start = Time.GetTimestamp();
        while (!await condition())
        {
            if (Time.GetElapsedTime(start) > s_reloadLimit)
            {
                return false;
            }
            await Task.Delay(s_shortPoll, Time, cancellationToken);
        }
        return true;
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
}
