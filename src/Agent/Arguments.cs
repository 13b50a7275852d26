using System.Net;
using System.Net.Sockets;
using System.Text;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;
using Routing.Settings;

namespace Routing.Agent;

/// <summary>The command line of <c>routing-agent</c>.</summary>
internal static class Arguments
{
    private const string Usage = """
        Usage: routing-agent [FILE.yml | DIRECTORY]
               routing-agent --installed
               routing-agent --validate-config [-i] [-p] [FILE.yml | DIRECTORY]
               routing-agent --generate-sample-config [FILE]
               routing-agent --generate-config [--dsn DSN] [FILE]
               routing-agent --version

        Runs the high-availability agent of one PostgreSQL node. The configuration is a YAML file, or a directory of
        them; PATRONI_* variables have precedence; without a file the variables alone are the configuration.

          --installed               run with /etc/routing/agent.yml, as the packages' service does; where there is none,
                                    with Patroni's /etc/patroni/config.yml or /etc/patroni/patroni.yml
          --validate-config         check the configuration and end: 0, or 1 with one line per failure
            -i, --ignore-listen-port  a port that is in use is no failure
            -p, --print               print the merged configuration, secrets as ***
          --generate-sample-config  write a sample configuration
          --generate-config         write the configuration of a PostgreSQL that runs already, asked as a superuser
            --dsn DSN                 how to log in: a URL or keyword=value; else PGHOST, PGUSER and so on
          --version                 print the version
        """;

    public static async Task<int> RunAsync(string[] args)
    {
        var time = TimeProvider.System;
        switch (args)
        {
            case ["--version"]:
                Console.WriteLine($"routing-agent {RoutingVersion.Own} (compatible with {RoutingVersion.Compatible})");
                return 0;
            case ["--help" or "-h"]:
                Console.WriteLine(Usage);
                return 0;
            case ["--validate-config", .. var rest]:
                return await ValidateAsync(rest, time);
            case ["--generate-sample-config"]:
                return Give(Sample(), null);
            case ["--generate-sample-config", [not '-', ..] file]:
                return Give(Sample(), file);
            case ["--generate-config"]:
                return await GenerateAsync(null, null);
            case ["--generate-config", "--dsn", var dsn]:
                return await GenerateAsync(dsn, null);
            case ["--generate-config", "--dsn", var dsn, [not '-', ..] file]:
                return await GenerateAsync(dsn, file);
            case ["--generate-config", [not '-', ..] file]:
                return await GenerateAsync(null, file);
            case ["--generate-config", [not '-', ..] file, "--dsn", var dsn]:
                return await GenerateAsync(dsn, file);
            case ["--installed"]:
                return InstalledConfig.Find(File.Exists) is { } installed
                    ? await RunInstalledAsync(installed)
                    : NoneInstalled();
            case [] or [[not '-', ..]]:
                return await AgentHost.RunAsync(
                    args.FirstOrDefault(), SettingsEnvironment.TakeFromProcess("PATRONI_"), KernelTime.Shared,
                    Console.Error);
            default:
                await Console.Error.WriteLineAsync(Usage);
                return 2;
        }
    }

    private static async Task<int> RunInstalledAsync(string file)
    {
        if (file != InstalledConfig.Own)
        {
            await Console.Error.WriteLineAsync(
                $"There is no {InstalledConfig.Own}: the agent takes Patroni's {file}");
        }
        return await AgentHost.RunAsync(
            file, SettingsEnvironment.TakeFromProcess("PATRONI_"), KernelTime.Shared, Console.Error);
    }

    private static int NoneInstalled()
    {
        Console.Error.WriteLine(
            $"There is no configuration: {string.Join(", ", InstalledConfig.Files)} do not exist");
        return 1;
    }

    private static async Task<int> ValidateAsync(string[] args, TimeProvider time)
    {
        var ignore = args.Any(arg => arg is "-i" or "--ignore-listen-port");
        var print = args.Any(arg => arg is "-p" or "--print");
        var files = args.Where(arg => !arg.StartsWith('-')).ToArray();
        if (files.Length > 1
            || args.Any(arg => arg.StartsWith('-') && arg is not ("-i" or "--ignore-listen-port" or "-p" or "--print")))
        {
            await Console.Error.WriteLineAsync(Usage);
            return 2;
        }
        return await new ConfigCheck(time, Console.Out, Console.Error).ValidateAsync(
            files.FirstOrDefault(), SettingsEnvironment.TakeFromProcess("PATRONI_"), ignore, print,
            CancellationToken.None);
    }

    private static async Task<int> GenerateAsync(string? dsn, string? file)
    {
        RunningServer server;
        try
        {
            server = await RunningServerReader.ReadAsync(
                dsn, Environment.GetEnvironmentVariable, CancellationToken.None);
        }
        catch (Exception problem) when (problem is NpgsqlException or InvalidOperationException or FormatException
            or ArgumentException)
        {
            await Console.Error.WriteLineAsync($"The server cannot be asked: {problem.Message}");
            return 1;
        }
        var (host, address) = ThisMachine();
        var tree = GeneratedConfig.Of(server, host, address, SettingsEnvironment.TakeFromProcess("PATRONI_"));
        var code = Give(YamlWriter.Write(tree.Root), file);
        foreach (var line in TakeoverReview.Of(server, tree))
        {
            await Console.Error.WriteLineAsync(line);
        }
        return code;
    }

    private static string Sample()
    {
        var (host, address) = ThisMachine();
        return SampleConfig.Write(host, address, SettingsEnvironment.TakeFromProcess("PATRONI_"));
    }

    /// <summary>
    /// Prints a configuration, or writes it to a file that its owner alone may read: it has passwords.
    /// </summary>
    private static int Give(string configuration, string? file)
    {
        if (file is null)
        {
            Console.Write(configuration);
            return 0;
        }
        try
        {
            using var stream = new FileStream(file, new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            // One that was there keeps its permissions otherwise.
            File.SetUnixFileMode(stream.SafeFileHandle, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            stream.Write(Encoding.UTF8.GetBytes(configuration));
            return 0;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(problem.Message);
            return 1;
        }
    }

    private static (string Host, string Address) ThisMachine()
    {
        var host = Dns.GetHostName();
        try
        {
            return (host,
                Dns.GetHostAddresses(host, AddressFamily.InterNetwork).FirstOrDefault()?.ToString() ?? "127.0.0.1");
        }
        catch (SocketException)
        {
            return (host, "127.0.0.1");
        }
    }
}
