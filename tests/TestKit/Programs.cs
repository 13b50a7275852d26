namespace Routing.TestKit;

/// <summary>The programs under test.</summary>
/// <remarks>
/// <c>./test</c> names the folder of the native programs in <c>ROUTING_PROGRAMS</c>. Without it, in the inner loop of
/// development, those that were built beside the tests are copied, once per run, to a folder that PostgreSQL's user can
/// read: a checkout may stand where only its owner may look.
/// </remarks>
public static class Programs
{
    private static readonly Lazy<TempDirectory> s_copy = new(MakeCopy);

    /// <summary>Whether they are the native ones, which load nothing while they run.</summary>
    public static bool AreNative => Native is not null;

    // Whole, as they are started in other folders.
    private static string? Native =>
        Environment.GetEnvironmentVariable("ROUTING_PROGRAMS") is { Length: > 0 } folder
            ? Path.GetFullPath(folder)
            : null;

    /// <summary>The agent's executable.</summary>
    public static string Agent =>
        Native is { } folder ? Path.Combine(folder, "routing-agent") : s_copy.Value["Agent/Routing.Agent"];

    /// <summary>The executable of routingctl.</summary>
    public static string Ctl =>
        Native is { } folder ? Path.Combine(folder, "routingctl") : s_copy.Value["Cli/routingctl"];

    /// <summary>The proxy's executable.</summary>
    public static string Proxy =>
        Native is { } folder ? Path.Combine(folder, "routing-proxy") : s_copy.Value["Proxy/Routing.Proxy"];

    /// <summary>The sample that consumes the driver's package; only <c>./build</c> makes it.</summary>
    public static string Sample => Native is { } folder
        ? Path.Combine(folder, "routing-sample")
        : throw new InvalidOperationException(
            "The sample is made of the package by ./build: name its folder in ROUTING_PROGRAMS.");

    private static TempDirectory MakeCopy()
    {
        // …/artifacts/build/bin/Integration.Tests/debug: the programs stand beside it.
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        var bin = own.Parent?.Parent ?? throw new InvalidOperationException($"{own} is no build output.");
        var copy = new TempDirectory("program");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => copy.Dispose();
        AllowAll(copy.Path);
        foreach (var program in (string[])["Agent", "Cli", "Proxy"])
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
