using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions.Joined;
using Routing.Settings;

namespace Routing.Proxy.Host;

/// <summary>The command line of <c>routing-proxy</c>.</summary>
internal static class CommandLine
{
    private const string Usage = """
        Usage: routing-proxy [FILE.yml | DIRECTORY]
               routing-proxy --check [FILE.yml | DIRECTORY]
               routing-proxy --version

        Routes PostgreSQL clients to the leader and the replicas of a cluster. The configuration is a YAML file, or a directory
        of them; ROUTING_PROXY_* variables have precedence; without a file the variables alone are the configuration.

          --check     check the configuration and end: 0, or 1 with one line per problem
          --version   print the version

        SIGHUP reloads the configuration and keeps sessions; SIGTERM drains, a second one ends at once.
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
                return await ProxyHost.RunAsync(
                    args.Length == 0 ? null : args[0], SettingsEnvironment.TakeFromProcess(ProxySettingsReader.Prefix),
                    TimeProvider.System, Console.Error);
            default:
                await Console.Error.WriteLineAsync(Usage);
                return 2;
        }
    }

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
