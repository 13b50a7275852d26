using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Routing.Cli.Members;
using Routing.Cli.Output;
using Routing.Cluster.Text;

namespace Routing.Cli.Commands;

/// <summary>
/// Arguments and options that several commands share. Each call makes new ones: they belong to one command.
/// </summary>
internal static class CommonOptions
{
    public static Argument<string[]> ClusterNames() =>
        Names(new Argument<string[]>("cluster-names")
        {
            Description = "Names of clusters; without one the configuration's scope",
            Arity = ArgumentArity.ZeroOrMore,
        });

    public static Argument<string?> ClusterName(
        string description = "Name of the cluster; without it the configuration's scope") =>
        Names(new Argument<string?>("cluster-name") { Description = description, Arity = ArgumentArity.ZeroOrOne });

    /// <summary>For commands that must not act on a cluster that was not named.</summary>
    public static Argument<string> RequiredClusterName() =>
        Names(new Argument<string>("cluster-name") { Description = "Name of the cluster",
            Arity = ArgumentArity.ExactlyOne });

    public static Argument<string[]> MemberNames() =>
        Names(new Argument<string[]>("member-names") { Description = "Only these members",
            Arity = ArgumentArity.ZeroOrMore });

    public static Option<int?> Group() => new("--group")
    {
        Description = "Citus group",
        HelpName = "N",
        CustomParser = result =>
        {
            if (int.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var group))
            {
                return group;
            }
            result.AddError($"'{result.Tokens[0].Value}' is no Citus group: 0 or a greater number is.");
            return null;
        },
    };

    /// <summary>The pretty format where it is left out.</summary>
    public static Option<OutputFormat> Format()
    {
        var option = Format(new Option<OutputFormat>("--format", "-f"), "pretty");
        option.CustomParser = result => ParseFormat(result) ?? default;
        return option;
    }

    /// <summary>A format that may be left out.</summary>
    /// <param name="byDefault">The word of the format that holds then; for the help.</param>
    /// <param name="name">The option's name.</param>
    public static Option<OutputFormat?> OptionalFormat(string byDefault, string name)
    {
        var option = Format(new Option<OutputFormat?>(name), byDefault);
        option.CustomParser = ParseFormat;
        return option;
    }
    public static Option<bool> Force() => new("--force") { Description = "Ask nothing, take the defaults" };

    public static Option<bool> Yes() => new("--yes", "-y") { Description = "Ask nothing; the checks remain" };

    public static Option<bool> ForceChecks() =>
        new("--force") { Description = "Ask nothing, and go on against the checks: they are told as warnings" };

    public static Option<bool> DryRun() =>
        new("--dry-run") { Description = "Ask nothing and change nothing: show what would be done" };

    public static Option<string> Role(string byDefault = RoleFilter.Any)
    {
        var option = new Option<string>("--role", "-r")
        {
            Description = "Only members in this role",
            HelpName = string.Join('|', RoleFilter.Names),
            DefaultValueFactory = _ => byDefault,
        };
        option.CompletionSources.Add(RoleFilter.Names);
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && !RoleFilter.Names.Contains(result.Tokens[0].Value, StringComparer.Ordinal))
            {
                result.AddError($"'{result.Tokens[0].Value}' is no role: {string.Join(", ", RoleFilter.Names)} are.");
            }
        });
        return option;
    }

    public static Option<string?> OneMember() =>
        new("--member", "-m") { Description = "The member with this name", HelpName = "NAME" };

    public static Option<string?> Scheduled() => new("--scheduled")
    {
        Description = "When, for example 2026-09-01T03:00; local time unless it has an offset. Default: now",
        HelpName = "TIME",
    };

    public static Option<string?> Candidate() => new("--candidate")
    {
        Description = "The member that shall lead",
        HelpName = "NAME",
    };

    public static Option<string?> Site(string description) => new("--site")
    {
        Description = description,
        HelpName = "SITE",
    };

    public static Option<bool> WatchByDefault() => new("-W") { Description = "Repeat every 2 seconds" };

    public static Option<double?> Watch() => new("--watch", "-w")
    {
        Description = "Repeat every N seconds",
        HelpName = "N",
        CustomParser = result =>
        {
            if (double.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture,
                out var seconds)
                && seconds is >= 0.1 and <= 86400)
            {
                return seconds;
            }
            result.AddError($"'{result.Tokens[0].Value}' is no interval: a number of seconds from 0.1 to 86400 is.");
            return null;
        },
    };

    public static Option<long?> Size(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "SIZE",
        CustomParser = result =>
        {
            if (PostgresUnits.TryParseBytes(result.Tokens[0].Value, out var bytes) && bytes >= 0)
            {
                return bytes;
            }
            result.AddError(
                $"'{result.Tokens[0].Value}' is no size: bytes, or a number with a unit, are: 1048576, 16MB.");
            return null;
        },
    };

    public static Option<TimeSpan?> Time(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "TIME",
        CustomParser = result =>
        {
            if (PostgresUnits.TryParseSeconds(result.Tokens[0].Value, out var seconds) && seconds > 0)
            {
                return TimeSpan.FromSeconds(seconds);
            }
            result.AddError(
                $"'{result.Tokens[0].Value}' is no time-out: seconds, or a number with a unit, are: 60, 90s, 5min.");
            return null;
        },
    };

    // The library would print the value as .NET calls it; the description says the word that people type.
    private static Option<T> Format<T>(Option<T> option, string byDefault)
    {
        option.Description = $"Output format. Default: {byDefault}";
        option.HelpName = string.Join('|', OutputFormats.Names);
        option.CompletionSources.Add(OutputFormats.Names);
        return option;
    }

    private static OutputFormat? ParseFormat(ArgumentResult result)
    {
        if (OutputFormats.TryParse(result.Tokens[0].Value, out var format))
        {
            return format;
        }
        result.AddError(
            $"'{result.Tokens[0].Value}' is no output format: {string.Join(", ", OutputFormats.Names)} are.");
        return null;
    }

    /// <summary>
    /// Refuses words that begin with a dash: they are misspelt options, which the parser would take for names.
    /// </summary>
    private static T Names<T>(T argument)
        where T : Argument
    {
        argument.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(token => token.Value.StartsWith('-')))
            {
                result.AddError($"There is no option '{token.Value}' here.");
            }
        });
        return argument;
    }
}
