namespace Routing.TestKit;

/// <summary>The agent and routingctl as they were built beside the tests, in a folder that PostgreSQL's user can read.</summary>
/// <remarks>Copied once per test run: a checkout may stand where only its owner may look.</remarks>
public static class AgentProgram
{
    private static readonly Lazy<TempDirectory> Copy = new(MakeCopy);

    /// <summary>The agent's executable. <c>ROUTING_AGENT</c> names another one, such as the native program.</summary>
    public static string Agent =>
        Environment.GetEnvironmentVariable("ROUTING_AGENT") is { Length: > 0 } other ? other : Copy.Value["Agent/Routing.Agent"];

    /// <summary>The executable of routingctl. <c>ROUTING_CTL</c> names another one.</summary>
    public static string Ctl =>
        Environment.GetEnvironmentVariable("ROUTING_CTL") is { Length: > 0 } other ? other : Copy.Value["Cli/routingctl"];

    private static TempDirectory MakeCopy()
    {
        // …/artifacts/build/bin/Integration.Tests/debug: the programs stand beside it.
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        var bin = own.Parent?.Parent ?? throw new InvalidOperationException($"{own} is no build output.");
        var copy = new TempDirectory("program");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => copy.Dispose();
        AllowAll(copy.Path);
        foreach (var program in (string[])["Agent", "Cli"])
        {
            var source = Path.Combine(bin.FullName, program, own.Name);
            if (!Directory.Exists(source))
            {
                throw new InvalidOperationException($"{source} is missing: build {program} first.");
            }
            CopyTree(source, copy[program]);
        }
        return copy;
    }

    private static void CopyTree(string source, string target)
    {
        Directory.CreateDirectory(target);
        AllowAll(target);
        foreach (var file in Directory.EnumerateFiles(source))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }
        foreach (var folder in Directory.EnumerateDirectories(source))
        {
            CopyTree(folder, Path.Combine(target, Path.GetFileName(folder)));
        }
    }

    private static void AllowAll(string directory) => File.SetUnixFileMode(
        directory,
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
}
