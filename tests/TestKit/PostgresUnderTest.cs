using System.Diagnostics;
using System.Globalization;

namespace Routing.TestKit;

/// <summary>The PostgreSQL that tests run with.</summary>
public static class PostgresUnderTest
{
    private const string Debian = "/usr/lib/postgresql";

    /// <summary>
    /// The folder of its programs: the one that <c>ROUTING_POSTGRES_BIN</c> names, or that of the newest installed.
    /// </summary>
    public static string Folder { get; } =
        Environment.GetEnvironmentVariable("ROUTING_POSTGRES_BIN") is { Length: > 0 } named ? named : Newest();

    /// <summary>Its major version, such as 15.</summary>
    public static int Major { get; } = MajorOf(Version());

    /// <summary>Where a program is.</summary>
    /// <param name="program">Such as <c>initdb</c>.</param>
    public static string PathOf(string program) => Path.Combine(Folder, program);

    private static string Newest() =>
        (Directory.Exists(Debian) ? Directory.GetDirectories(Debian) : [])
            .Where(folder => File.Exists(Path.Combine(folder, "bin", "postgres")))
            .OrderBy(folder => int.TryParse(Path.GetFileName(folder), out var major) ? major : 0)
            .Select(folder => Path.Combine(folder, "bin"))
            .LastOrDefault()
        ?? throw new InvalidOperationException(
            $"There is no PostgreSQL in {Debian}: install it, or name its folder in ROUTING_POSTGRES_BIN.");

    // "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", "postgres (PostgreSQL) 19beta1"
    private static string Version()
    {
        var start = new ProcessStartInfo(PathOf("postgres"), ["--version"]) { RedirectStandardOutput = true };
        using var postgres = Process.Start(start)
            ?? throw new InvalidOperationException($"{start.FileName} was not started.");
        var version = postgres.StandardOutput.ReadToEnd();
        postgres.WaitForExit();
        return version;
    }

    private static int MajorOf(string version)
    {
        var number = version[(version.IndexOf(") ", StringComparison.Ordinal) + 2)..];
        return int.Parse(string.Concat(number.TakeWhile(char.IsAsciiDigit)), CultureInfo.InvariantCulture);
    }
}
