using System.Collections.Concurrent;
using System.Globalization;
using Routing.Agent.Config;
using Routing.Agent.Native;

namespace Routing.Agent.Postgres;

/// <summary>PostgreSQL's programs: where they are and of which version.</summary>
internal sealed class PostgresPrograms(PostgresSettings settings, CommandRunner commands)
{
    public const int OldestMajor = 13;
    public const int NewestMajor = 18;

    private readonly ConcurrentDictionary<string, int> _versions = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _parameters = new(StringComparer.OrdinalIgnoreCase);

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
            throw new IOException($"'{program} --version' ended with {answer.Result} and said '{answer.Output}{answer.Error}'.");
        }
        if (version / 10000 is < OldestMajor or > NewestMajor)
        {
            throw new IOException(
                $"{program} is PostgreSQL {version / 10000}; supported are {OldestMajor} to {NewestMajor}. Set postgresql.bin_dir.");
        }
        _versions[program] = version;
        return version;
    }

    /// <summary>The parameters that the server program does not know, of those asked about. Each is asked for once.</summary>
    /// <remarks>
    /// <c>--describe-config</c> leaves the developers' parameters out, so that what it does not list is asked for by
    /// <c>-C</c>, against an empty file and the data directory. Names with a dot belong to extensions: always known.
    /// </remarks>
    /// <param name="names">Parameters.</param>
    /// <param name="dataDirectory">An initialised data directory; without one nothing can be said.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyCollection<string>> UnknownParametersAsync(
        IEnumerable<string> names, string dataDirectory, CancellationToken cancellationToken)
    {
        if (!File.Exists(Path.Combine(dataDirectory, "PG_VERSION")))
        {
            return [];
        }
        var unknown = new List<string>();
        foreach (var name in names.Where(name => !name.Contains('.', StringComparison.Ordinal)))
        {
            if (!_parameters.TryGetValue(name, out var isKnown))
            {
                if (_parameters.IsEmpty)
                {
                    await DescribeAsync(cancellationToken);
                }
                if (!_parameters.TryGetValue(name, out isKnown))
                {
                    var answer = await commands.CaptureAsync(
                        new Command(Postgres, "-D", dataDirectory, "-c", "config_file=/dev/null", "-C", name)
                        {
                            Timeout = TimeSpan.FromSeconds(10),
                            Environment = new Dictionary<string, string?> { ["LC_ALL"] = "C" },
                        },
                        cancellationToken);
                    isKnown = answer.IsSuccess || !answer.Error.Contains("unrecognized configuration parameter", StringComparison.Ordinal);
                    _parameters[name] = isKnown;
                }
            }
            if (!isKnown)
            {
                unknown.Add(name);
            }
        }
        return unknown;
    }

    private async Task DescribeAsync(CancellationToken cancellationToken)
    {
        var answer = await commands.CaptureAsync(
            new Command(Postgres, "--describe-config") { Timeout = TimeSpan.FromSeconds(10) }, cancellationToken);
        foreach (var line in answer.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            _parameters[line.Split('\t')[0]] = true;
        }
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

    private string PathOf(string name) => settings.BinDirectory is { } directory ? Path.Combine(directory, name) : name;
}
