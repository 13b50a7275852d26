using System.Globalization;
using Routing.TestKit;

namespace Routing.Integration.Tests.Migration;

/// <summary>A primary and a standby as an administrator makes them with PostgreSQL's own programs.</summary>
internal static class HandMadeServers
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(4);

    /// <summary>initdb, and a start.</summary>
    /// <param name="node">Whose data directory and port it gets.</param>
    /// <param name="settings">Lines of postgresql.conf.</param>
    public static async Task MakePrimaryAsync(TestNode node, string settings)
    {
        var password = Path.Combine(node.DirectoryPath, "password");
        await File.WriteAllTextAsync(password, "super\n");
        OrdinaryProcess.GiveAway(password);
        await RunAsync(node, PostgresClient.PathOf("initdb"), "-D", node.DataDirectory, "-U", "postgres", "-k", "-N",
            "--auth=scram-sha-256", $"--pwfile={password}");
        await File.AppendAllTextAsync(Path.Combine(node.DataDirectory, "postgresql.conf"), $"""

            port = {Number(node.Port)}
            unix_socket_directories = '{node.DirectoryPath}'
            fsync = off
            {settings}

            """);
        await StartAsync(node);
        await node.SqlAsync("CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'repl'");
    }

    /// <summary>pg_basebackup with <c>-R</c>, a port of its own, and a start.</summary>
    public static async Task MakeStandbyAsync(TestNode node, TestNode primary)
    {
        await RunAsync(node, PostgresClient.PathOf("pg_basebackup"), "-D", node.DataDirectory, "-R", "-N", "-c", "fast",
            "-d", $"host=127.0.0.1 port={Number(primary.Port)} user=replicator password=repl");
        await File.AppendAllTextAsync(Path.Combine(node.DataDirectory, "postgresql.conf"), $"""

            port = {Number(node.Port)}
            unix_socket_directories = '{node.DirectoryPath}'

            """);
        await StartAsync(node);
    }

    /// <summary>Starts its server, as somebody would on a terminal.</summary>
    public static Task StartAsync(TestNode node) =>
        RunAsync(node, PostgresClient.PathOf("pg_ctl"), "-D", node.DataDirectory, "-w", "start");

    /// <summary>Runs a program that has to succeed.</summary>
    /// <returns>What it printed.</returns>
    public static async Task<string> RunAsync(TestNode node, params string[] command)
    {
        var (code, output) = await TryAsync(node, command);
        Assert.True(code == 0, $"{command[0]}: exit code {code}: {output}");
        return output;
    }

    /// <summary>Runs a program.</summary>
    public static async Task<(int Code, string Output)> TryAsync(TestNode node, params string[] command)
    {
        var log = Path.Combine(node.DirectoryPath, $"{Guid.NewGuid():N}.log");
        using var process = OrdinaryProcess.Start(log, node.DirectoryPath, command);
        var code = await process.WaitForExitAsync(s_limit);
        return (code, await File.ReadAllTextAsync(log));
    }

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}
