using System.CommandLine;
using Routing.Cli.Output;

namespace Routing.Cli.Commands;

/// <summary>Arguments and options that several commands share. Each call makes new ones: they belong to one command.</summary>
internal static class CommonOptions
{
    public static Argument<string[]> ClusterNames() => new("cluster-names")
    {
        Description = "Names of clusters; without one the configuration's scope",
        Arity = ArgumentArity.ZeroOrMore,
    };

    public static Argument<string?> ClusterName() => new("cluster-name")
    {
        Description = "Name of the cluster; without it the configuration's scope",
        Arity = ArgumentArity.ZeroOrOne,
    };

    public static Option<int?> Group()
    {
        var option = new Option<int?>("--group") { Description = "Citus group", HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var text }] && int.TryParse(text, out var group) && group < 0)
            {
                result.AddError($"'{text}' is no Citus group: 0 or more is.");
            }
        });
        return option;
    }

    public static Option<string> Format() => new Option<string>("--format", "-f")
    {
        Description = "Output format",
        HelpName = string.Join('|', OutputFormats.Names),
        DefaultValueFactory = _ => OutputFormats.Names[0],
    }.AcceptOnlyFromAmong(OutputFormats.Names);

    public static Option<bool> Force() => new("--force") { Description = "Ask nothing, take the defaults" };

    public static Option<string?> Candidate() => new("--candidate")
    {
        Description = "The member that shall lead",
        HelpName = "NAME",
    };

    public static Option<bool> WatchByDefault() => new("-W") { Description = "Repeat every 2 seconds" };

    public static Option<double?> Watch()
    {
        var option = new Option<double?>("--watch", "-w") { Description = "Repeat every N seconds", HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && result.GetValueOrDefault<double?>() is not (> 0 and < 1_000_000))
            {
                result.AddError("--watch takes a number of seconds above 0.");
            }
        });
        return option;
    }
}
