using System.Collections.Concurrent;
using System.Globalization;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Programs;

/// <summary>PostgreSQL's programs: where they are and of which version.</summary>
internal sealed class PostgresPrograms(PostgresSettings settings, CommandRunner commands)
{
    private readonly ConcurrentDictionary<string, int> _versions = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<KeyValuePair<string, string>, string?> _verdicts = new();

    /// <summary>With these the program could answer in another language, or not at all.</summary>
    private static readonly string[] s_muffling = ["lc_messages", "log_min_messages", "log_destination"];

    public string Postgres => PathOf(settings.Programs.Postgres);

    public string InitDb => PathOf(settings.Programs.InitDb);

    public string BaseBackup => PathOf(settings.Programs.PgBaseBackup);

    public string Rewind => PathOf(settings.Programs.PgRewind);

    /// <summary>The version of the server program, in the form of server_version_num (150018). Asked once.</summary>
    /// <exception cref="IOException">It cannot be started, or is of no version that we support.</exception>
    public async Task<int> VersionAsync(CancellationToken cancellationToken)
    {
        var program = Postgres;
        if (_versions.TryGetValue(program, out var known))
        {
            return known;
        }
        var answer = await commands.CaptureAsync(
            new Command(program, "--version") { Timeout = TimeSpan.FromSeconds(10) }, cancellationToken);
        if (!answer.IsSuccess || !TryParseVersion(answer.Output, out var version))
        {
            throw new IOException(
                $"'{program} --version' ended with {answer.Result} and said '{answer.Output}{answer.Error}'.");
        }
        if (!ServerFeatures.IsSupported(version / 10000))
        {
            throw new IOException(
                $"{program} is PostgreSQL {version / 10000}; supported are {ServerFeatures.OldestMajor} to "
                    + $"{ServerFeatures.NewestMajor}. Set postgresql.bin_dir.");
        }
        _versions[program] = version;
        return version;
    }

    /// <summary>
    /// The parameters that the server program refuses, by name or by value, with its own words. Each pair is asked for
    /// once.
    /// </summary>
    /// <remarks>
    /// A server that runs only complains of a wrong value; one that starts does not come up. All are handed over at
    /// once with <c>-C</c>, which starts nothing, against an empty file; the program names the first that it refuses,
    /// so that it is asked again without that one. Names with a dot belong to extensions, whose values nobody here can
    /// judge.
    /// </remarks>
    /// <param name="parameters">Parameters with their values.</param>
    /// <param name="dataDirectory">An initialised data directory; without one nothing can be said.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyDictionary<string, string>> RefusedAsync(
        IEnumerable<KeyValuePair<string, string>> parameters, string dataDirectory, CancellationToken cancellationToken)
    {
        var refused = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (!File.Exists(Path.Combine(dataDirectory, "PG_VERSION")))
        {
            return refused;
        }
        var asked = parameters.Where(
            pair => !pair.Key.Contains('.', StringComparison.Ordinal) && !s_muffling.Contains(pair.Key)).ToList();
        var open = asked.Where(pair => !_verdicts.ContainsKey(pair)).ToList();
        while (open.Count > 0)
        {
            var answer = await commands.CaptureAsync(
                new Command(
                    Postgres,
                    ["-D", dataDirectory, "-c", "config_file=/dev/null",
                        .. open.SelectMany(pair => new[] { "-c", $"{pair.Key}={pair.Value}" }), "-C", "port"])
                {
                    Timeout = TimeSpan.FromSeconds(10),
                    Environment = new Dictionary<string, string?> { ["LC_ALL"] = "C" },
                },
                cancellationToken);
            var words = answer.IsSuccess ? "" : FatalWords(answer.Error);
            var culprit = open.FindIndex(
                pair => words.Contains($"parameter \"{pair.Key}\"", StringComparison.OrdinalIgnoreCase));
            if (culprit < 0)
            {
                // All parameters are known to it; or it fails for another reason, which the start will report.
                open.ForEach(pair => _verdicts[pair] = null);
                break;
            }
            _verdicts[open[culprit]] = words;
            open.RemoveAt(culprit);
        }
        foreach (var pair in asked)
        {
            if (_verdicts.GetValueOrDefault(pair) is { } words)
            {
                refused[pair.Key] = words;
            }
        }
        return refused;
    }

    /// <summary>
    /// Why the server program does not accept a configuration file with all that it includes and with
    /// postgresql.auto.conf; null: it does, or it cannot be asked.
    /// </summary>
    /// <param name="file">The main file.</param>
    /// <param name="dataDirectory">An initialised data directory; without one nothing can be said.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<string?> ComplaintAsync(string file, string dataDirectory, CancellationToken cancellationToken)
    {
        if (!File.Exists(Path.Combine(dataDirectory, "PG_VERSION")))
        {
            return null;
        }
        var command = new Command(Postgres, "-D", dataDirectory, "-c", $"config_file={file}", "-C", "port")
        {
            Timeout = TimeSpan.FromSeconds(10),
            Environment = new Dictionary<string, string?> { ["LC_ALL"] = "C" },
        };
        var answer = await commands.CaptureAsync(command, cancellationToken);
        return answer.IsSuccess || answer.Result.TimedOut
            ? null
            : string.Join("; ", answer.Error.Split(
                '\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).TakeLast(4));
    }

    private static string FatalWords(string error)
    {
        const string mark = "FATAL:";
        var line = error.Split('\n').FirstOrDefault(text => text.Contains(mark, StringComparison.Ordinal)) ?? "";
        return line[(line.IndexOf(mark, StringComparison.Ordinal) is var at && at < 0 ? 0 : at + mark.Length)..].Trim();
    }

    /// <summary>Reads "postgres (PostgreSQL) 15.18 (Debian …)"; beta and devel versions count as minor 0.</summary>
    internal static bool TryParseVersion(string text, out int version)
    {
        version = 0;
        var word = text.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .FirstOrDefault(part => char.IsAsciiDigit(part[0]));
        if (word is null)
        {
            return false;
        }
        var digits = word.TakeWhile(char.IsAsciiDigit).Count();
        var major = int.Parse(word.AsSpan(0, digits), CultureInfo.InvariantCulture);
        var minor = 0;
        if (digits < word.Length && word[digits] == '.')
        {
            var rest = word.Skip(digits + 1).TakeWhile(char.IsAsciiDigit).ToArray();
            _ = int.TryParse(rest, NumberStyles.None, CultureInfo.InvariantCulture, out minor);
        }
        version = (major * 10000) + minor;
        return true;
    }

    /// <exception cref="IOException">There is no such program; the text names the setting.</exception>
    private string PathOf(string name)
    {
        if (settings.BinDirectory is { } directory)
        {
            var path = Path.Combine(directory, name);
            return File.Exists(path)
                ? path
                : throw new IOException(
                    $"there is no program {path}: postgresql.bin_dir ('{directory}') must be the folder of "
                        + "PostgreSQL's programs");
        }
        var folders = name.Contains('/', StringComparison.Ordinal)
            ? [""]
            : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        return folders.Any(folder => File.Exists(Path.Combine(folder, name)))
            ? name
            : throw new IOException(
                $"no folder of PATH contains the program {name}: set postgresql.bin_dir to the folder of PostgreSQL's "
                    + "programs");
    }
}
