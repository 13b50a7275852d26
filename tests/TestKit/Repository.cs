namespace Routing.TestKit;

/// <summary>
/// The sources and documents that a test project was built from: where <c>ROUTING_REPOSITORY</c> says, or above the
/// test program.
/// </summary>
public static class Repository
{
    private static readonly Lazy<string> s_root = new(() =>
    {
        if (Environment.GetEnvironmentVariable("ROUTING_REPOSITORY") is { Length: > 0 } told)
        {
            return told;
        }
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Routing.sln")))
            {
                return at.FullName;
            }
        }
        throw new InvalidOperationException($"No repository stands above {AppContext.BaseDirectory}.");
    });

    /// <summary>A document's text.</summary>
    /// <param name="name">For example <c>operations.md</c>.</param>
    public static string Document(string name) => File.ReadAllText(Path.Combine(s_root.Value, "docs", name));

    /// <summary>
    /// The part of a document that stands under a heading, up to the next one of its level or a higher one.
    /// </summary>
    /// <param name="name">The document.</param>
    /// <param name="heading">The whole line, with its number signs.</param>
    public static string Section(string name, string heading)
    {
        var lines = Document(name).Split('\n');
        var begin = Array.IndexOf(lines, heading);
        if (begin < 0)
        {
            throw new InvalidOperationException($"docs/{name} has no heading '{heading}'.");
        }
        var level = heading.IndexOf(' ', StringComparison.Ordinal);
        var end = Array.FindIndex(lines, begin + 1, line =>
            line.StartsWith('#') && line.IndexOf(' ', StringComparison.Ordinal) <= level);
        return string.Join('\n', lines[begin..(end < 0 ? lines.Length : end)]);
    }

    /// <summary>The text of each source file in a folder of <c>src</c> and below it, by its path from there.</summary>
    public static IReadOnlyDictionary<string, string> Sources(string folder = "")
    {
        var src = Path.Combine(s_root.Value, "src");
        return Directory.EnumerateFiles(Path.Combine(src, folder), "*.cs", SearchOption.AllDirectories)
            .ToDictionary(file => Path.GetRelativePath(src, file), File.ReadAllText, StringComparer.Ordinal);
    }

    /// <summary>The text of each file in a folder of <c>tests</c> and below it, by its path from there.</summary>
    public static IReadOnlyDictionary<string, string> Tests(string folder)
    {
        var root = Path.Combine(s_root.Value, "tests", folder);
        return Directory.EnumerateFiles(root, "*.cs", SearchOption.AllDirectories)
            .ToDictionary(file => Path.GetRelativePath(root, file), File.ReadAllText, StringComparer.Ordinal);
    }

    /// <summary>Whether there is a class of tests of this name: it stands in a file of its own.</summary>
    public static bool HasTests(string name) => s_tests.Value.Contains(name);

    private static readonly Lazy<HashSet<string>> s_tests = new(() => Directory
        .EnumerateFiles(Path.Combine(s_root.Value, "tests"), "*.cs", SearchOption.AllDirectories)
        .Select(file => Path.GetFileNameWithoutExtension(file)).ToHashSet(StringComparer.Ordinal));
}
