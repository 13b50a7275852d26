using Routing.Agent.Config;

namespace Routing.Agent.Postgres;

/// <summary>What the configuration files shall say.</summary>
/// <param name="Config">The settings in force.</param>
/// <param name="Recovery">The recovery section; empty for a primary.</param>
/// <param name="SynchronousStandbyNames">The value that the agent decided on; null: the user's own, if any.</param>
/// <param name="Raised">Controlled parameters that must be higher for this start than configured.</param>
internal sealed record FilePlan(
    PostgresConfig Config, IReadOnlyDictionary<string, string> Recovery, string? SynchronousStandbyNames,
    IReadOnlyDictionary<string, string> Raised);

/// <summary>The files that configure the server: postgresql.conf, pg_hba.conf, pg_ident.conf, signals and copies.</summary>
internal sealed class ConfigurationFiles(PostgresSettings settings)
{
    private const UnixFileMode OwnerReadWrite = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _data = settings.DataDirectory;
    private readonly string _directory = settings.ConfigDirectory;

    public string Main => Path.Combine(_directory, $"{settings.ConfigBaseName}.conf");

    public string Hba => Path.Combine(_directory, "pg_hba.conf");

    private string Base => Path.Combine(_directory, $"{settings.ConfigBaseName}.base.conf");

    private string Ident => Path.Combine(_directory, "pg_ident.conf");

    private string StandbySignal => Path.Combine(_data, "standby.signal");

    private string RecoverySignal => Path.Combine(_data, "recovery.signal");

    public bool HasRecoverySignal => File.Exists(StandbySignal) || File.Exists(RecoverySignal);

    /// <summary>Writes the three files. Those whose text is right already are not touched.</summary>
    /// <returns>Whether a file changed.</returns>
    public bool Write(FilePlan plan)
    {
        KeepOriginal(plan.Config.CustomConf);
        var parameters = new SortedDictionary<string, string>(plan.Config.Parameters, StringComparer.Ordinal);
        parameters.TryAdd("hba_file", Hba);
        parameters.TryAdd("ident_file", Ident);
        foreach (var (name, value) in plan.Raised)
        {
            parameters[name] = value;
        }
        if (plan.SynchronousStandbyNames is { } names)
        {
            parameters["synchronous_standby_names"] = names;
        }
        var include = plan.Config.CustomConf ?? Path.GetFileName(Base);
        var changed = Replace(Main, ConfigurationText.MainFile(include, parameters, plan.Recovery));
        if (plan.Config.PgHba is { } hba)
        {
            changed |= Replace(Hba, ConfigurationText.Lines(hba));
        }
        if (plan.Config.PgIdent is { } ident)
        {
            changed |= Replace(Ident, ConfigurationText.Lines(ident));
        }
        return CleanAutoConf() | changed;
    }

    /// <summary>pg_hba.conf as it is; null when there is none.</summary>
    public string? ReadHba() => Read(Hba);

    /// <summary>Appends lines to the pg_hba.conf that initdb made.</summary>
    public void AppendHba(IEnumerable<string> lines) => Replace(
        Hba, File.ReadAllText(Path.Combine(_data, "pg_hba.conf")) + string.Concat(lines.Select(line => line.TrimEnd('\n') + "\n")));

    /// <summary>Moves what initdb or a copy left in the data directory to the configuration directory, when that is another.</summary>
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

    /// <summary>Copies of the files in the data directory (*.backup): a clone of this server finds its configuration in them.</summary>
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
    }

    /// <summary>Makes the next start one of a recovery that ends by itself (custom bootstrap).</summary>
    public void SignalRecovery()
    {
        Replace(RecoverySignal, "");
        File.Delete(StandbySignal);
    }

    /// <summary>Makes the next start one of a primary.</summary>
    public void RemoveSignals()
    {
        File.Delete(StandbySignal);
        File.Delete(RecoverySignal);
    }

    /// <summary>The value of a parameter in the main file; null when it is not there.</summary>
    public string? Find(string parameter) => Read(Main) is { } text ? ConfigurationText.Find(text, parameter) : null;

    /// <summary>Replaces a file unless it says the same already. Inside the data directory its mode follows the directory's.</summary>
    public bool Replace(string path, string text)
    {
        if (Read(path) == text)
        {
            return false;
        }
        PasswordFile.WriteWhole(path, text, ModeFor(path));
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

    /// <summary>ALTER SYSTEM has no say in recovery settings: a clone would inherit them.</summary>
    private bool CleanAutoConf()
    {
        var path = Path.Combine(_data, "postgresql.auto.conf");
        return Read(path) is { } text && ConfigurationText.Without(text, RecoveryParameterNames.All) is { } cleaned
            && Replace(path, cleaned);
    }

    private UnixFileMode ModeFor(string path)
    {
        if (!path.StartsWith(_data + '/', StringComparison.Ordinal))
        {
            return OwnerReadWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;   // the umask takes away what it must
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
