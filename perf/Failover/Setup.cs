using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Routing.Failover;

/// <summary>What a result depends on: programs, versions, machine.</summary>
internal sealed record Setup
{
    private const string EstablishedProgram = "/usr/bin/patroni";

    /// <summary>Our agent, native.</summary>
    public required string Agent { get; init; }

    /// <summary>Our proxy, native; null when no writer goes through a router.</summary>
    public string? Proxy { get; init; }

    /// <summary>The folder of PostgreSQL's programs.</summary>
    public required string Postgres { get; init; }

    /// <summary>Dated versions, as the report lists them.</summary>
    public required IReadOnlyList<(string What, string Value)> Facts { get; init; }

    /// <summary>Finds all programs; publishes the agent when it is not there.</summary>
    public static async Task<Setup> PrepareAsync(Options options, CancellationToken cancellationToken)
    {
        var root = Root();
        var postgres = Directory.Exists("/usr/lib/postgresql")
            ? Directory.EnumerateDirectories("/usr/lib/postgresql")
                .Where(folder => File.Exists($"{folder}/bin/postgres"))
                .OrderByDescending(folder => int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture))
                .Select(folder => $"{folder}/bin").FirstOrDefault()
            : null;
        if (postgres is null)
        {
            throw new InvalidOperationException("PostgreSQL is not installed (Debian package postgresql).");
        }
        if (options.WithEstablished && !File.Exists(EstablishedProgram))
        {
            throw new InvalidOperationException(
                "--with-established needs the Debian packages patroni and python3-etcd.");
        }
        var agent = options.Agent ?? Path.Combine(root, "artifacts/bin/routing-agent");
        if (options.Agent is null && !File.Exists(agent))
        {
            agent = await PublishAsync(root, cancellationToken);
        }

        var isRouted = options.NeedsRouter;
        var proxy = isRouted ? options.Proxy ?? Path.Combine(root, "artifacts/bin/routing-proxy") : null;
        if (proxy is not null && !File.Exists(proxy))
        {
            throw new InvalidOperationException("This needs the proxy: run ./build first.");
        }
        if (isRouted && options.WithEstablished && !File.Exists(Router.HaProxy))
        {
            throw new InvalidOperationException("Routers with the established agent need the Debian package haproxy.");
        }
        var hasPooler = options is { IsOfSessions: true, WithEstablished: true };
        if (hasPooler && !File.Exists(PgBouncer.Program))
        {
            throw new InvalidOperationException(
                "--scenario sessions --with-established needs the Debian package pgbouncer.");
        }

        var facts = new List<(string, string)>
        {
            ("Date", TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)),
            ("Commit", await CommitAsync(root, cancellationToken)),
            ("Machine",
                $"{Environment.ProcessorCount} cores, {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 30} GiB, "
                    + $"Linux {Kernel()}; everything on it, fsync on"),
            ("Load when started (1 min)",
                (await File.ReadAllTextAsync("/proc/loadavg", cancellationToken)).Split(' ')[0]),
            ("PostgreSQL", await FirstLineAsync($"{postgres}/postgres", "--version", cancellationToken)),
            ("etcd", await FirstLineAsync("etcd", "--version", cancellationToken)),
            ("Our agent", $"{await FirstLineAsync(agent, "--version", cancellationToken)}, NativeAOT"),
        };
        if (options.WithEstablished)
        {
            facts.Add(("Established agent",
                $"{await FirstLineAsync(EstablishedProgram, "--version", cancellationToken)}, Debian's package"));
        }
        if (isRouted && options.WithEstablished)
        {
            facts.Add(("Its router", await FirstLineAsync(Router.HaProxy, "-v", cancellationToken)));
        }
        if (hasPooler)
        {
            facts.Add(
                ("The pooler before it", await FirstLineAsync(PgBouncer.Program, "--version", cancellationToken)));
        }
        return new Setup { Agent = agent, Proxy = proxy, Postgres = postgres, Facts = facts };
    }

    public void Describe(StringBuilder text)
    {
        foreach (var (what, value) in Facts)
        {
            text.AppendLine($"- {what}: {value}");
        }
    }

    private static async Task<string> PublishAsync(string root, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(root, "artifacts/build/native/Agent");
        await Console.Error.WriteLineAsync("Publishing the agent (NativeAOT)");
        List<string> arguments = ["publish", $"{root}/src/Agent", "-c", "Release", "-r", "linux-x64", "-o", folder,
            "-v", "q"];
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
            .Any(path => File.Exists(Path.Combine(path, "clang"))))
        {
            arguments.Add("-p:CppCompilerAndLinker=gcc");
        }
        await OutputAsync("dotnet", arguments, cancellationToken);
        return Path.Combine(folder, "Routing.Agent");
    }

    private static async Task<string> CommitAsync(string root, CancellationToken cancellationToken)
    {
        var commit = await FirstLineAsync("git", $"-C {root} rev-parse --short HEAD", cancellationToken);
        var changes = await OutputAsync("git", ["-C", root, "status", "--porcelain", "src"], cancellationToken);
        return changes.Length == 0 ? commit : $"{commit}, with changes in src";
    }

    private static string Kernel() => string.Concat(
        File.ReadAllText("/proc/sys/kernel/osrelease").Trim()
            .TakeWhile(letter => char.IsAsciiDigit(letter) || letter == '.'));

    private static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Routing.sln")))
            {
                return folder.FullName;
            }
        }
        throw new InvalidOperationException("This program runs inside its repository only.");
    }

    private static async Task<string> FirstLineAsync(
        string program, string arguments, CancellationToken cancellationToken) =>
        (await OutputAsync(program, arguments.Split(' '), cancellationToken)).Split('\n')[0].Trim();

    private static async Task<string> OutputAsync(
        string program, IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })
            ?? throw new InvalidOperationException($"{program} was not started.");
        var output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode == 0 ? output
            : throw new InvalidOperationException($"{program} failed ({process.ExitCode}): {output}");
    }
}
