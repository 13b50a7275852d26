using System.Globalization;

namespace Routing.TestKit;

/// <summary>PostgreSQL's own client programs, on libpq, as the superuser.</summary>
public static class PostgresClient
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(2);

    /// <summary>Where a program is.</summary>
    public static string PathOf(string program) => PostgresUnderTest.PathOf(program);

    /// <summary>Starts one and waits for its end.</summary>
    /// <param name="directory">For its log and as its home; given away to PostgreSQL's user already.</param>
    /// <param name="port">Of 127.0.0.1.</param>
    /// <param name="program">Such as <c>pgbench</c>.</param>
    /// <param name="arguments">Without host, port, user and database.</param>
    /// <returns>The exit code, and all that it wrote.</returns>
    public static async Task<(int Code, string Output)> RunAsync(
        TempDirectory directory, int port, string program, params string[] arguments)
    {
        ArgumentNullException.ThrowIfNull(directory);
        ArgumentNullException.ThrowIfNull(program);
        var log = directory[$"{program}-{Guid.NewGuid():N}.log"];
        string[] database = program.StartsWith("pg_", StringComparison.Ordinal)
            ? []
            : program == "psql" ? ["-d", "postgres"] : ["postgres"];
        using var client = OrdinaryProcess.Start(
            log, directory.Path,
            [
                "env", "PGPASSWORD=super", PathOf(program), "-h", "127.0.0.1", "-p",
                port.ToString(CultureInfo.InvariantCulture),
                "-U", "postgres", .. arguments, .. database,
            ]);
        try
        {
            var code = await client.WaitForExitAsync(s_limit);
            return (code, await File.ReadAllTextAsync(log));
        }
        catch (TimeoutException hung)
        {
            client.Send(ProcessSignal.Kill);
            throw new TimeoutException($"{program} hangs: {hung.Message}\n{await File.ReadAllTextAsync(log)}", hung);
        }
    }
}
