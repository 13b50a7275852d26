using System.CommandLine;
using System.CommandLine.Invocation;
using Routing.Cli.Commands;
using Routing.Cli.Completion;

namespace Routing.Cli;

/// <summary>The command line: parses it, runs the command, says how it ended.</summary>
internal sealed class Routingctl(CtlEnvironment environment)
{
    /// <summary>Runs one command line.</summary>
    /// <returns>An <see cref="ExitCode"/>.</returns>
    public async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        var parsed = CreateRoot().Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Action is ParseErrorAction)
        {
            return RefuseUsage(parsed);
        }
        var exitCode = await parsed.InvokeAsync(
            new InvocationConfiguration
            {
                Output = environment.Screen.Output,
                Error = environment.Screen.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,   // signals reach us as the token, see Program
            },
            cancellationToken);
        await environment.Screen.Output.FlushAsync(CancellationToken.None);
        return exitCode;
    }

    private RootCommand CreateRoot()
    {
        var globals = new GlobalOptions();
        var host = new CommandHost(environment, globals);
        var root = new RootCommand(
            """
            Shows and steers clusters of PostgreSQL: who leads, who follows, and who shall lead next.

            It needs access to etcd, by a configuration file (the agent's own will do), PATRONI_* variables or --dcs-url.
            Exit codes: 0 done, 1 failed or declined (also a switchover or failover that did not succeed), 2 wrong usage.
            """)
        {
            globals.ConfigFile,
            globals.DcsUrl,
            globals.Insecure,
            // One file each; a new command is one more line here.
            ListCommand.Create(host),
            TopologyCommand.Create(host),
            SwitchoverCommand.Create(host),
            FailoverCommand.Create(host),
            PauseCommand.Create(host, pause: true),
            PauseCommand.Create(host, pause: false),
            RestartCommand.Create(host),
            RollingRestartCommand.Create(host),
            ReloadCommand.Create(host),
            ReinitCommand.Create(host),
            FlushCommand.Create(host),
            RemoveCommand.Create(host),
            RebuildKeysCommand.Create(host),
            DemoteClusterCommand.Create(host),
            PromoteClusterCommand.Create(host),
            BackupCommand.Create(host),
            RestoreCommand.Create(host),
            CheckCommand.Create(host),
            MigrateCommand.Create(host),
            WhyCommand.Create(host),
            EventsCommand.Create(host),
            DsnCommand.Create(host),
            QueryCommand.Create(host),
            ShowConfigCommand.Create(host),
            EditConfigCommand.Create(host),
            HistoryCommand.Create(host),
            VersionCommand.Create(host),
            CompletionCommand.Create(environment.Screen),
        };
        new NameCompletion(environment, globals).AttachTo(root);
        return root;
    }

    private int RefuseUsage(ParseResult parsed)
    {
        var path = new List<string>();
        for (var at = parsed.CommandResult; at is not null; at = at.Parent as System.CommandLine.Parsing.CommandResult)
        {
            path.Insert(0, at.Command.Name);
        }
        var command = string.Join(' ', ["routingctl", .. path.Skip(1)]);
        environment.Screen.Error.WriteLine($"Try '{command} --help' for help.");
        // An unknown word says more than the command that is missing because of it.
        var errors = parsed.Errors.Select(error => error.Message).ToArray();
        var unknown = parsed.UnmatchedTokens.Count > 0
            ? errors.Where(error => error.Contains(parsed.UnmatchedTokens[0], StringComparison.Ordinal))
            : [];
        foreach (var error in unknown.DefaultIfEmpty(errors[0]))
        {
            environment.Screen.WriteError(error);
        }
        return ExitCode.Usage;
    }
}
