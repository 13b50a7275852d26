using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>The user's scripts that make a replica.</summary>
internal sealed class ReplicaMethods(ServerContext context, DataRoom room)
{
    /// <summary>Runs the script of a method. When it fails, the data directory is empty again.</summary>
    public async Task<StepResult> RunAsync(
        string name, HostPort? source, EffectiveSettings effective, IProgress<string> progress,
        Action<CopyProgress>? onCopied, CancellationToken cancellationToken)
    {
        var method = effective.Config.ReplicaMethods[name];
        var postgres = context.Settings.Postgres;
        ProgramConnection? connection = null;
        if (source is { } address)
        {
            PasswordFile.Write(postgres.PasswordFile, address, context.Users);
            connection =
                ProgramConnection.ForScript(
                    context.Settings.Local, context.Users.Replication, address, effective.Config, effective.Major);
        }
        if (!method.KeepData)
        {
            room.PrepareForScript(name);
        }
        List<string> arguments = method.NoParameters
            ? []
            : [$"--scope={context.Settings.Local.Scope}", "--role=replica", $"--datadir={context.DataDirectory}",
                $"--connstring={connection?.Text}"];
        arguments.AddRange(method.Arguments.Select(argument => $"--{argument.Key}={argument.Value}"));
        var command = ProgramRunner.CommandFor(method.Command, [.. arguments]) with
        {
            Environment = connection?.Environment
                ?? new Dictionary<string, string?> { ["PGPASSFILE"] = postgres.PasswordFile }
                    as IReadOnlyDictionary<string, string?>,
        };
        var done = false;
        try
        {
            var result = await new FillingScript(context).RunAsync(
                name, command, progress, onCopied, cancellationToken);
            done = result.Ok;
            return result;
        }
        finally
        {
            if (!done && !method.KeepData)
            {
                DataRemoval.Clear(context.DataDirectory);
                context.Filling.MarkFinished();   // an empty directory needs no marker
            }
        }
    }
}
