using System.Text.Json.Nodes;
using Routing.Cli.Output;
using Routing.Cli.Terminal;

namespace Routing.Cli.Checks;

/// <summary>Prints findings, the gravest first.</summary>
internal static class FindingList
{
    private static readonly Column[] s_columns = [new("Severity"), new("Subject"), new("Problem")];

    /// <summary>One line each, or a table in the forms that programs read.</summary>
    /// <param name="screen">Where to.</param>
    /// <param name="findings">The findings.</param>
    /// <param name="format">The form.</param>
    /// <param name="none">The pretty form's line when there is none.</param>
    public static void Print(Screen screen, IReadOnlyCollection<Finding> findings, OutputFormat format, string none)
    {
        if (format != OutputFormat.Pretty)
        {
            new Table(s_columns, [.. findings.Select(finding => new JsonNode?[]
            {
                Word(finding), finding.Subject, finding.Text,
            })]).Print(screen.Output, format);
            return;
        }
        foreach (var finding in findings)
        {
            var word = screen.HasColours ? $"\e[{Colour(finding)}m{Word(finding)}\e[0m" : Word(finding);
            screen.WriteLine($"{word}: {finding.Subject} {finding.Text}");
        }
        if (findings.Count == 0)
        {
            screen.WriteLine(none);
        }
    }

    private static string Word(Finding finding) => finding.Severity switch
    {
        Severity.Error => "ERROR",
        Severity.Warning => "WARNING",
        _ => "NOTE",
    };

    private static string Colour(Finding finding) => finding.Severity switch
    {
        Severity.Error => "1;31",
        Severity.Warning => "33",
        _ => "36",
    };
}
