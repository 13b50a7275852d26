using System.CommandLine;
using System.CommandLine.Completions;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cli.Commands;
using Routing.Cli.Configuration;
using Routing.Dcs;

namespace Routing.Cli.Completion;

/// <summary>Completes names of clusters and members, as the DCS knows them.</summary>
/// <remarks>Nothing is printed when it can't be asked, or is slow: the operator is in the middle of a line.</remarks>
internal sealed class NameCompletion(CtlEnvironment environment, GlobalOptions globals)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private static readonly string[] s_clusterArguments = ["cluster-name", "cluster-names"];
    private static readonly string[] s_memberSymbols = ["member-names", "member-names|what", "--member", "--candidate",
        "--leader"];

    /// <summary>Adds the names to every argument and option of a command that takes one.</summary>
    public void AttachTo(Command root)
    {
        foreach (var command in root.Subcommands)
        {
            AttachTo(command);
        }
        foreach (var argument in root.Arguments)
        {
            if (s_clusterArguments.Contains(argument.Name, StringComparer.Ordinal))
            {
                argument.CompletionSources.Add(context => Items(() => Clusters(context.ParseResult)));
            }
            else if (s_memberSymbols.Contains(argument.Name, StringComparer.Ordinal))
            {
                argument.CompletionSources.Add(context => Items(() => Members(context.ParseResult)));
            }
        }
        foreach (var option in root.Options.Where(
            option => s_memberSymbols.Contains(option.Name, StringComparer.Ordinal)))
        {
            option.CompletionSources.Add(context => Items(() => Members(context.ParseResult)));
        }
    }

    private static IEnumerable<CompletionItem> Items(Func<IEnumerable<string>> names)
    {
        try
        {
            return [.. names().Select(name => new CompletionItem(name))];
        }
        catch (Exception e) when (e is CtlException or ClusterStoreException or OperationCanceledException)
        {
            return [];
        }
    }

    private IEnumerable<string> Clusters(ParseResult parsed) => Settings(parsed).Scope is { } scope ? [scope] : [];

    private IEnumerable<string> Members(ParseResult parsed)
    {
        var settings = Settings(parsed);
        var named = parsed.CommandResult.Command.Arguments
            .Where(argument => argument.Name == "cluster-name")
            .Select(argument => parsed.GetResult(argument)?.Tokens is [var token, ..] ? token.Value : null)
            .FirstOrDefault();
        // A completion source has no asynchronous form.
        return (named ?? settings.Scope) is { } cluster
            ? Task.Run(() => MembersAsync(settings, cluster)).GetAwaiter().GetResult()
            : [];
    }

    private async Task<IReadOnlyList<string>> MembersAsync(CtlSettings settings, string cluster)
    {
        using var deadline = new CancellationTokenSource(s_patience, environment.Time);
        await using var store = environment.OpenStore(
            settings.Etcd,
            settings.Namespace,
            CtlSettings.Scoped(cluster, settings.ConfiguredGroup),
            environment.Time,
            NullLoggerFactory.Instance);
        return [.. (await store.ReadAsync(deadline.Token)).Members.Keys];
    }

    private CtlSettings Settings(ParseResult parsed) =>
        CtlSettings.Load(environment, parsed.GetValue(globals.ConfigFile), parsed.GetValue(globals.DcsUrl),
            insecureOption: false);
}
