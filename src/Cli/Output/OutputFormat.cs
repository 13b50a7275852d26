namespace Routing.Cli.Output;

/// <summary>The forms that a table can be printed in.</summary>
internal enum OutputFormat
{
    /// <summary>An ASCII table for people.</summary>
    Pretty,

    /// <summary>Tab-separated values with a header line.</summary>
    Tsv,

    /// <summary>One line: an array of objects.</summary>
    Json,

    /// <summary>A block list of mappings.</summary>
    Yaml,

    /// <summary>The pretty table with the members as a tree.</summary>
    Topology,
}

internal static class OutputFormats
{
    /// <summary>The words of <c>--format</c>.</summary>
    public static readonly string[] Names = ["pretty", "tsv", "json", "yaml", "yml"];

    /// <summary>Reads one of the names.</summary>
    public static bool TryParse(string name, out OutputFormat format)
    {
        format = name switch
        {
            "tsv" => OutputFormat.Tsv,
            "json" => OutputFormat.Json,
            "yaml" or "yml" => OutputFormat.Yaml,
            _ => OutputFormat.Pretty,
        };
        return Names.Contains(name, StringComparer.Ordinal);
    }

    /// <summary>Whether people read it: then titles and remarks go with it.</summary>
    public static bool IsForPeople(this OutputFormat format) => format is OutputFormat.Pretty or OutputFormat.Topology;
}
