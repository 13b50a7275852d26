using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Settings.Postgres;

namespace Routing.Agent.Postgres.Configuration;

/// <summary>What the configuration files shall say.</summary>
/// <param name="Config">The settings in force.</param>
/// <param name="Recovery">The recovery section; empty for a primary.</param>
/// <param name="SynchronousStandbyNames">
/// The value that the agent decided on, empty for none; null: the user's own, if any.
/// </param>
/// <param name="Raised">Controlled parameters that must be higher for this start than configured.</param>
internal sealed record FilePlan(
    PostgresConfig Config, IReadOnlyDictionary<string, string> Recovery, string? SynchronousStandbyNames,
    IReadOnlyDictionary<string, string> Raised);

/// <summary>What the files' owner tells of them.</summary>
/// <param name="Overruled">A parameter that ALTER SYSTEM had set, and that is the agent's.</param>
/// <param name="Refused">A file that PostgreSQL does not accept, with its words; the last good one stays.</param>
internal sealed record ConfigurationNotes(Action<string> Overruled, Action<string, string> Refused);

/// <summary>
/// The files that configure the server: postgresql.conf, pg_hba.conf, pg_ident.conf, signals and copies.
/// </summary>
/// <param name="settings">Where they are.</param>
/// <param name="notes">Is told of what the operator has to know.</param>
internal sealed class ConfigurationFiles(PostgresSettings settings, ConfigurationNotes notes)
{
    private const string SynchronousNames = "synchronous_standby_names";

    private readonly Dictionary<string, string> _refusedAccess = new(StringComparer.Ordinal);
    private string? _acceptedPart;
    private string? _refusedPart;

    private const UnixFileMode OwnerReadWrite = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _data = settings.DataDirectory;
    private readonly string _directory = settings.ConfigDirectory;

    public string Main => Path.Combine(_directory, $"{settings.ConfigBaseName}.conf");

    public string Hba => Path.Combine(_directory, "pg_hba.conf");

    private string Base => Path.Combine(_directory, $"{settings.ConfigBaseName}.base.conf");

    public string Ident => Path.Combine(_directory, "pg_ident.conf");

    private string AutoConf => Path.Combine(_data, "postgresql.auto.conf");

    private string StandbySignal => Path.Combine(_data, "standby.signal");

    private string RecoverySignal => Path.Combine(_data, "recovery.signal");

    public bool HasRecoverySignal => File.Exists(StandbySignal) || File.Exists(RecoverySignal);

    /// <summary>Writes the three files. Those whose text is right already are not touched.</summary>
    /// <param name="plan">What they shall say.</param>
    /// <param name="judge">
    /// Says why the server program does not accept a main file, or null: a file that PostgreSQL refuses never takes the
    /// place of one that it accepts.
    /// </param>
    /// <returns>Whether a file changed.</returns>
    public async Task<bool> WriteAsync(FilePlan plan, Func<string, Task<string?>> judge)
    {
        KeepOriginal(plan.Config.CustomConf);
        var changed = CleanAutoConf(plan);
        changed |= Replace(Main, await JudgedAsync(plan, judge));
        if (plan.Config.PgHba is { } hba)
        {
            changed |= ReplaceUnlessRefused(Hba, ConfigurationText.Lines(hba));
        }
        if (plan.Config.PgIdent is { } ident)
        {
            changed |= ReplaceUnlessRefused(Ident, ConfigurationText.Lines(ident));
        }
        return changed;
    }

    /// <summary>The text of pg_hba.conf and pg_ident.conf.</summary>
    public (string? Hba, string? Ident) AccessFiles => (Read(Hba), Read(Ident));

    /// <summary>Puts an access file back that the server does not accept, and does not write that text again.</summary>
    /// <param name="path">The file.</param>
    /// <param name="last">Its last good text; null: there is none, and the file stays.</param>
    /// <returns>Whether the file is another one now.</returns>
    public bool Refuse(string path, string? last)
    {
        if (Read(path) is not { } refused || last is null || last == refused)
        {
            return false;
        }
        _refusedAccess[path] = refused;
        return Replace(path, last);
    }

    /// <summary>The last good text of an access file; null when none was kept.</summary>
    public string? LastGood(string path) => Read(CopyOf(path));

    /// <summary>
    /// The text of the main file: as planned, or else with the last parameters that the server program accepted.
    /// </summary>
    private async Task<string> JudgedAsync(FilePlan plan, Func<string, Task<string?>> judge)
    {
        var include = plan.Config.CustomConf ?? Path.GetFileName(Base);
        var wanted = ConfigurationText.MainFile(include, With(plan, plan.Config.Parameters), plan.Recovery);
        var part = Judged(wanted);
        if (part == _acceptedPart || Read(Main) is not { } present || present == wanted)
        {
            return wanted;
        }
        var fallback = ConfigurationText.ReadMainFile(present) is var (lastInclude, last)
            ? ConfigurationText.MainFile(lastInclude, With(plan, last), plan.Recovery)
            : present;
        if (part == _refusedPart)
        {
            return fallback;
        }
        if (await ComplaintAsync(wanted, judge) is { } complaint && fallback != wanted
            && await ComplaintAsync(fallback, judge) is null)
        {
            _refusedPart = part;
            notes.Refused(Main, complaint);
            return fallback;
        }
        (_acceptedPart, _refusedPart) = (part, null);   // accepted, or there is nothing better
        return wanted;
    }

    /// <summary>
    /// What the server program has to say about: not what the agent itself makes and quotes, which changes in the
    /// middle of a failover.
    /// </summary>
    private static string Judged(string text) => ConfigurationText.Without(
        text, name => name is SynchronousNames or "primary_conninfo" or "primary_slot_name", out _) ?? text;

    private async Task<string?> ComplaintAsync(string text, Func<string, Task<string?>> judge)
    {
        var candidate = Main + ".check";   // beside it, for what is included by a relative path
        try
        {
            Replace(candidate, text);
            return await judge(candidate);
        }
        finally
        {
            File.Delete(candidate);
        }
    }

    private SortedDictionary<string, string> With(FilePlan plan, IEnumerable<KeyValuePair<string, string>> given)
    {
        var parameters =
            new SortedDictionary<string, string>(given.ToDictionary(StringComparer.Ordinal), StringComparer.Ordinal);
        parameters.TryAdd("hba_file", Hba);
        parameters.TryAdd("ident_file", Ident);
        foreach (var (name, value) in plan.Raised)
        {
            parameters[name] = value;
        }
        parameters.Remove(SynchronousNames);
        if ((plan.SynchronousStandbyNames ?? plan.Config.Parameters.GetValueOrDefault(SynchronousNames)) is { } names)
        {
            parameters[SynchronousNames] = names;
        }
        return parameters;
    }

    private bool ReplaceUnlessRefused(string path, string text) =>
        _refusedAccess.GetValueOrDefault(path) != text && Replace(path, text);

    /// <summary>pg_hba.conf as it is; null when there is none.</summary>
    public string? ReadHba() => Read(Hba);

    /// <summary>Appends lines to the pg_hba.conf that initdb made.</summary>
    public void AppendHba(IEnumerable<string> lines) => Replace(
        Hba, File.ReadAllText(Path.Combine(_data, "pg_hba.conf"))
            + string.Concat(lines.Select(line => line.TrimEnd('\n') + "\n")));

    /// <summary>
    /// Moves what initdb or a copy left in the data directory to the configuration directory, when that is another.
    /// </summary>
    public void TakeOverFromDataDirectory()
    {
        if (_directory == _data)
        {
            return;
        }
        Directory.CreateDirectory(_directory);
        foreach (var name in new[] { $"{settings.ConfigBaseName}.conf", "pg_hba.conf", "pg_ident.conf" })
        {
            var source = Path.Combine(_data, name);
            var target = Path.Combine(_directory, name);
            if (File.Exists(source) && !File.Exists(target))
            {
                File.Copy(source, target);
            }
        }
    }

    /// <summary>
    /// Copies of the files in the data directory (*.backup): a clone of this server finds its configuration in them.
    /// </summary>
    public void SaveCopies()
    {
        foreach (var file in Owned())
        {
            if (File.Exists(file) && Read(file) is { } text)
            {
                Replace(CopyOf(file), text);
            }
        }
    }

    /// <summary>Brings back what is missing after a clone.</summary>
    public void RestoreCopies()
    {
        Directory.CreateDirectory(_directory);
        foreach (var file in Owned().Where(file => !File.Exists(file)))
        {
            if (Read(CopyOf(file)) is { } text)
            {
                Replace(file, text);
            }
            else if (file == Ident)
            {
                Replace(file, "");
            }
        }
    }

    /// <summary>Makes the next start one of a standby.</summary>
    public void SignalStandby()
    {
        Replace(StandbySignal, "");
        File.Delete(RecoverySignal);
        PutRecoveryConfAside();
    }

    /// <summary>Makes the next start one of a recovery that ends by itself (custom bootstrap).</summary>
    public void SignalRecovery()
    {
        Replace(RecoverySignal, "");
        File.Delete(StandbySignal);
        PutRecoveryConfAside();
    }

    /// <summary>Makes the next start one of a primary.</summary>
    public void RemoveSignals()
    {
        File.Delete(StandbySignal);
        File.Delete(RecoverySignal);
        PutRecoveryConfAside();
    }

    /// <summary>What an upgrade or an old backup has left: no server since PostgreSQL 12 starts beside it.</summary>
    private void PutRecoveryConfAside()
    {
        var file = Path.Combine(_data, "recovery.conf");
        if (File.Exists(file))
        {
            File.Move(file, file + ".old", overwrite: true);
        }
    }

    /// <summary>The value of a parameter in the main file; null when it is not there.</summary>
    public string? Find(string parameter) => Read(Main) is { } text ? ConfigurationText.Find(text, parameter) : null;

    /// <summary>
    /// The recovery settings that a backup's tool has left in postgresql.auto.conf, whence <see cref="WriteAsync"/>
    /// removes them.
    /// </summary>
    public Dictionary<string, string> RecoveryOfTool() =>
        Read(AutoConf) is not { } text
            ? []
            : RecoveryParameterNames.All
                .Select(name => KeyValuePair.Create(name, ConfigurationText.Find(text, name)))
                .Where(item => item.Value is not null)
                .ToDictionary(item => item.Key, item => item.Value!, StringComparer.Ordinal);

    /// <summary>
    /// The value that the operator gives a parameter: by ALTER SYSTEM, in the settings, or in the included file. Null:
    /// none.
    /// </summary>
    public string? UsersValue(string parameter, PostgresConfig config)
    {
        var included = config.CustomConf is { } custom ? Path.Combine(_directory, custom) : Base;
        return Value(AutoConf) ?? config.Parameters.GetValueOrDefault(parameter) ?? Value(included);

        string? Value(string path) => Read(path) is { } text ? ConfigurationText.Find(text, parameter) : null;
    }

    /// <summary>
    /// Replaces a file unless it says the same already. Inside the data directory its mode follows the directory's.
    /// </summary>
    public bool Replace(string path, string text)
    {
        if (Read(path) == text)
        {
            return false;
        }
        WholeFile.Replace(path, text, ModeFor(path));
        return true;
    }

    private IEnumerable<string> Owned() => [Main, Base, Hba, Ident];

    private string CopyOf(string file) => Path.Combine(_data, Path.GetFileName(file) + ".backup");

    /// <summary>The file that initdb made becomes the user's, and ours includes it.</summary>
    private void KeepOriginal(string? customConf)
    {
        if (customConf is not null || File.Exists(Base))
        {
            return;
        }
        if (File.Exists(Main) && Read(Main)?.StartsWith(ConfigurationText.Header, StringComparison.Ordinal) != true)
        {
            File.Move(Main, Base);
        }
        else
        {
            Replace(Base, Read(CopyOf(Base)) ?? "");
        }
    }

    /// <summary>
    /// ALTER SYSTEM has no say in what the agent sets. Recovery settings: a clone would inherit them.
    /// synchronous_standby_names: no promotion could be prepared, and no standby published. What stands on the server's
    /// command line would only look changed.
    /// </summary>
    private bool CleanAutoConf(FilePlan plan)
    {
        if (Read(AutoConf) is not { } text
            || ConfigurationText.Without(text, IsOurs, out var removed) is not { } cleaned
            || !Replace(AutoConf, cleaned))
        {
            return false;
        }
        foreach (var name in removed)
        {
            notes.Overruled(name);
        }
        return true;

        bool IsOurs(string name) =>
            RecoveryParameterNames.All.Contains(name)
            || plan.Config.ControlledParameters.ContainsKey(name)
            || (name == SynchronousNames && plan.SynchronousStandbyNames is not null);
    }

    private UnixFileMode ModeFor(string path)
    {
        if (!path.StartsWith(_data + '/', StringComparison.Ordinal))
        {
            // The umask takes away what it must. The main file may hold the password of a client's key.
            return path.StartsWith(Main, StringComparison.Ordinal)
                ? OwnerReadWrite
                : OwnerReadWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        }
        var groupReads = (File.GetUnixFileMode(_data) & UnixFileMode.GroupRead) != 0;
        return groupReads ? OwnerReadWrite | UnixFileMode.GroupRead : OwnerReadWrite;
    }

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }
}
