using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions.Joined;
using Routing.Settings;

namespace Routing.Proxy.Host;

/// <summary>The command line of <c>routing-proxy</c>.</summary>
internal static class CommandLine
{
    /// <summary>The option of a process that takes over from the one that runs.</summary>
    internal const string TakeOver = "--take-over";

    private const string Usage = """
        Usage: routing-proxy [FILE.yml | DIRECTORY] [--take-over]
               routing-proxy --check [FILE.yml | DIRECTORY]
               routing-proxy --version

        Routes PostgreSQL clients to the leader and the replicas of a cluster. The configuration is a YAML file, or a directory
        of them; ROUTING_PROXY_* variables have precedence; without a file the variables alone are the configuration.

          --take-over  take listening sockets and sessions over from the process that runs, which ends then; without
                       one, start as usual
          --check      check the configuration and end: 0, or 1 with one line per problem
          --version    print the version

        SIGHUP reloads the configuration and keeps sessions; SIGUSR2 starts the program anew to take over, as for an
        upgrade; SIGTERM drains, a second one ends at once.
        """;

    public static async Task<int> RunAsync(string[] args)
    {
        switch (args)
        {
            case ["--version"]:
                Console.WriteLine($"routing-proxy {RoutingVersion.Own}");
                return 0;
            case ["--help" or "-h"]:
                Console.WriteLine(Usage);
                return 0;
            case ["--check"]:
                return await CheckAsync(null);
            case ["--check", [not '-', ..] path]:
                return await CheckAsync(path);
            case [] or [[not '-', ..]]:
                return await RunAsync(args.FirstOrDefault(), takesOver: false);
            case [TakeOver]:
                return await RunAsync(null, takesOver: true);
            case [[not '-', ..], TakeOver]:
                return await RunAsync(args[0], takesOver: true);
            case [TakeOver, [not '-', ..] path]:
                return await RunAsync(path, takesOver: true);
            default:
                await Console.Error.WriteLineAsync(Usage);
                return 2;
        }
    }

    private static Task<int> RunAsync(string? path, bool takesOver) => ProxyHost.RunAsync(
        path, takesOver, SettingsEnvironment.TakeFromProcess(ProxySettingsReader.Prefix), TimeProvider.System,
        Console.Error);

    private static async Task<int> CheckAsync(string? path)
    {
        var result = ProxySettingsReader.Load(path, SettingsEnvironment.TakeFromProcess(ProxySettingsReader.Prefix));
        foreach (var warning in result.Warnings)
        {
            await Console.Error.WriteLineAsync($"warning: {warning}");
        }
        foreach (var error in result.Errors)
        {
            await Console.Error.WriteLineAsync(error.ToString());
        }
        var problems = result.Errors.Length;
        try
        {
            foreach (var listener in result.Settings?.Listeners ?? [])
            {
                _ = ListenerModel.Create(listener, null);   // its certificates can be read
            }
        }
        catch (IOException problem)
        {
            await Console.Error.WriteLineAsync(problem.Message);
            problems++;
        }
        if (problems == 0)
        {
            Console.WriteLine("The configuration is good.");
        }
        return problems == 0 ? 0 : 1;
    }
}
