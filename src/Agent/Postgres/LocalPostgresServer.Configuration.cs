using System.Collections.Immutable;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres;

/// <content>Configuration: files, reload, synchronous_standby_names, pending restarts.</content>
internal sealed partial class LocalPostgresServer
{
    private const string SynchronousNames = "synchronous_standby_names";

    private static readonly TimeSpan ReloadLimit = TimeSpan.FromSeconds(2);

    private readonly Lock _filesLock = new();
    private string? _synchronousNames;
    private bool _knowsSynchronousNames;
    private volatile bool _owesReload;

    /// <inheritdoc/>
    public async Task<StepResult> SetSynchronousStandbyNamesAsync(string? names, CancellationToken cancellationToken)
    {
        lock (_filesLock)
        {
            (_synchronousNames, _knowsSynchronousNames) = (names, true);
        }
        if (_postmaster.Find() is not { } process)
        {
            return StepResult.Done("will be set at the next start");
        }
        try
        {
            var isPrimary = !_files.HasRecoverySignal;
            var effective = await EffectiveAsync(isPrimary ? Role.Primary : Role.Replica, cancellationToken);
            await RewriteAsync(effective, cancellationToken);
            await using var session = await OpenLocalAsync(ServerSession.Heartbeat, cancellationToken);
            process.TrySignal(Signals.Hangup);
            var wanted = names ?? effective.Config.Parameters.GetValueOrDefault(SynchronousNames) ?? "";
            return await WaitForAsync(
                async () => await session.TextAsync($"SELECT current_setting('{SynchronousNames}')", cancellationToken) == wanted,
                cancellationToken)
                ? StepResult.Done($"{SynchronousNames} is '{wanted}'")
                : StepResult.Failed($"{SynchronousNames} did not become '{wanted}': something outside postgresql.conf sets it");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NpgsqlException)
        {
            return StepResult.Failed($"{SynchronousNames} could not be set: {error.Message}");
        }
    }

    /// <inheritdoc/>
    public async Task<StepResult> ApplyConfigurationAsync(DynamicConfig config, bool force, CancellationToken cancellationToken)
    {
        _dynamic = config;
        try
        {
            _owesReload |= force;   // also when something below fails
            DynamicConfigCache.Write(DataDirectory, config);
            if (_postmaster.Find() is not { } process)
            {
                return StepResult.Done("will be used at the next start");
            }
            var isPrimary = !_files.HasRecoverySignal;
            var effective = await EffectiveAsync(isPrimary ? Role.Primary : Role.Replica, cancellationToken);
            _owesReload |= await RewriteAsync(effective, cancellationToken);
            if (!_owesReload)
            {
                return StepResult.Done("nothing changed");
            }
            await using var session = await OpenLocalAsync(ServerSession.Heartbeat, cancellationToken);
            var before = await session.TextAsync("SELECT pg_conf_load_time()::text", cancellationToken);
            process.TrySignal(Signals.Hangup);
            if (!await WaitForAsync(
                async () => await session.TextAsync("SELECT pg_conf_load_time()::text", cancellationToken) != before, cancellationToken))
            {
                // An error in a file of the operator's keeps it from taking any of it; repeating does not help. The next change tells it again.
                LogNotReloaded(ReloadLimit.TotalSeconds);
            }
            else
            {
                _owesReload = false;
            }
            _pendingRestart = await PendingRestartAsync(session, effective, cancellationToken);
            return StepResult.Done(_pendingRestart.IsEmpty
                ? "reloaded"
                : $"reloaded; a restart is needed for {string.Join(", ", _pendingRestart.Keys)}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NpgsqlException or InvalidDataException)
        {
            return StepResult.Failed($"the configuration could not be applied: {error.Message}");
        }
    }

    /// <summary>Writes the files for the role that the server has now, following whom it follows now.</summary>
    private ValueTask<bool> RewriteAsync(Effective effective, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var asPrimary = effective.Role == Role.Primary;
        var upstream = asPrimary
            ? null
            : RecoverySettings.Read(_files.Find("primary_conninfo"), _files.Find("primary_slot_name"));
        var raised = asPrimary ? [] : RaisedForStandby(effective.Config);
        return ValueTask.FromResult(WriteFiles(effective, asPrimary, upstream, raised));
    }

    private bool WriteFiles(Effective effective, bool asPrimary, Upstream? upstream, IReadOnlyDictionary<string, string> raised)
    {
        lock (_filesLock)
        {
            var recovery = asPrimary
                ? []
                : RecoverySettings.ForStandby(effective.Settings, effective.Config, upstream, effective.Major);
            if (upstream is not null)
            {
                PasswordFile.Write(_settings.Postgres.PasswordFile, upstream.Address, Users);
            }
            var changed = _files.Write(new FilePlan(effective.Config, recovery, ManagedSynchronousNames(effective.Dynamic), raised));
            if (changed)
            {
                _files.SaveCopies();
            }
            return changed;
        }
    }

    /// <summary>
    /// While a synchronous mode is on the value is the agent's. An agent that has just started finds its predecessor's in
    /// the file: without it a commit could be acknowledged that no standby has.
    /// </summary>
    private string? ManagedSynchronousNames(DynamicConfig dynamic)
    {
        if (!_knowsSynchronousNames)
        {
            _knowsSynchronousNames = true;
            _synchronousNames = dynamic.SynchronousMode == SynchronousMode.Off ? null : _files.Find(SynchronousNames);
        }
        return _synchronousNames;
    }

    private async Task<bool> WaitForAsync(Func<Task<bool>> condition, CancellationToken cancellationToken)
    {
        var start = _time.GetTimestamp();
        while (!await condition())
        {
            if (_time.GetElapsedTime(start) > ReloadLimit)
            {
                return false;
            }
            await Task.Delay(ShortPoll, _time, cancellationToken);
        }
        return true;
    }

    /// <summary>
    /// Parameters whose configured value differs from the one in force and that only a restart changes: those that the
    /// server flags itself, and the controlled ones, which it can't see as they stand on its command line. Not those of
    /// recovery: a promoted primary has them in force and not in its files any more, and needs no restart for that.
    /// </summary>
    private static async Task<ImmutableSortedDictionary<string, ParameterChange>> PendingRestartAsync(
        ServerSession session, Effective effective, CancellationToken cancellationToken)
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
                changes[name] = new ParameterChange(row.GetString(3), wanted ?? (row.IsDBNull(5) ? null : row.GetString(5)));
            }
        }
        return changes.ToImmutable();
    }
}
