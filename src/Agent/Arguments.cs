using System.Net;
using System.Net.Sockets;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Settings;

namespace Routing.Agent;

/// <summary>The command line of <c>routing-agent</c>.</summary>
internal static class Arguments
{
    private const string Usage = """
        Usage: routing-agent [FILE.yml | DIRECTORY]
               routing-agent --validate-config [-i] [-p] [FILE.yml | DIRECTORY]
               routing-agent --generate-sample-config [FILE]
               routing-agent --version

        Runs the high-availability agent of one PostgreSQL node. The configuration is a YAML file, or a directory of
        them; PATRONI_* variables have precedence; without a file the variables alone are the configuration.

          --validate-config         check the configuration and end: 0, or 1 with one line per failure
            -i, --ignore-listen-port  a port that is in use is no failure
            -p, --print               print the merged configuration, secrets as ***
          --generate-sample-config  write a sample configuration
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
                Console.Write(Sample());
                return 0;
            case ["--generate-sample-config", var file]:
                return WriteSample(file);
            case [] or [[not '-', ..]]:
                return await AgentHost.RunAsync(
                    args.FirstOrDefault(), SettingsEnvironment.TakeFromProcess("PATRONI_"), KernelTime.Shared,
                    Console.Error);
            default:
                await Console.Error.WriteLineAsync(Usage);
                return 2;
        }
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

    private static int WriteSample(string file)
    {
        try
        {
            File.WriteAllText(file, Sample());
            return 0;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(problem.Message);
            return 1;
        }
    }

    private static string Sample()
    {
        var host = Dns.GetHostName();
        string address;
        try
        {
            address =
                Dns.GetHostAddresses(host, AddressFamily.InterNetwork).FirstOrDefault()?.ToString() ?? "127.0.0.1";
        }
        catch (SocketException)
        {
            address = "127.0.0.1";
        }
        return SampleConfig.Write(host, address, SettingsEnvironment.TakeFromProcess("PATRONI_"));
    }
}
