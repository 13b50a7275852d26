using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Routing.Load;

/// <summary>The measurements; each goes round over all variants, so that a disturbance meets all alike.</summary>
internal sealed class LoadRun(Options options, Stage stage)
{
    private const double BulkGigabytes = 1.001;
    private static readonly int[] s_idle = [1_000, 5_000, 9_000];
    private static readonly TimeSpan s_rest = TimeSpan.FromSeconds(3);

    /// <summary>Select-only transactions at 1, 8 and 64 clients.</summary>
    public async Task<string> PgbenchAsync(string protocol)
    {
        var table =
            new StringBuilder(
                $"## Select-only, {protocol} protocol\n\n| clients | way | TPS | ratio | p50, µs | p99, µs | ratio | "
                    + "CPU, µs per transaction | ratio |\n|---|---|---|---|---|---|---|---|---|\n");
        foreach (var clients in options.Clients)
        {
            var rounds =
                await RoundAsync(options.Variants, stage.PostgresPort,
                    async route => await BenchAsync(
                        route, "-S", "-M", protocol, "-c", Text(clients), "-j", Text(Math.Min(clients, 2))));
            foreach (var name in rounds.Ways)
            {
                table.AppendLine(CultureInfo.InvariantCulture,
                    $"| {clients} | {name} | {rounds.Median(name, one => one.Tps):F0} | "
                        + $"{rounds.Ratio(name, one => one.Tps)} | {rounds.Median(name, one => one.P50):F0} | "
                        + $"{rounds.Median(name, one => one.P99):F0} | "
                        + $"{rounds.Ratio(name, one => one.P99, isLessBetter: true)} | "
                        + $"{rounds.Median(name, one => one.Cpu):F1} | "
                        + $"{rounds.Ratio(name, one => one.Cpu, isLessBetter: true)} |");
            }
        }
        return table.ToString();
    }

    /// <summary>A connection for each transaction.</summary>
    public async Task<string> ConnectAsync()
    {
        var rounds = await RoundAsync(options.Variants, stage.PostgresPort,
            async route => await BenchAsync(route, "-S", "-C", "-c", "8", "-j", "2"));
        var table =
            new StringBuilder(
                "## A connection for each transaction, 8 clients\n\n| way | TPS | ratio | CPU, µs per transaction | "
                    + "ratio |\n|---|---|---|---|---|\n");
        foreach (var name in rounds.Ways)
        {
            table.AppendLine(CultureInfo.InvariantCulture,
                $"| {name} | {rounds.Median(name, one => one.Tps):F0} | {rounds.Ratio(name, one => one.Tps)} | "
                    + $"{rounds.Median(name, one => one.Cpu):F0} | "
                    + $"{rounds.Ratio(name, one => one.Cpu, isLessBetter: true)} |");
        }
        return table.ToString();
    }

    /// <summary>COPY TO STDOUT of one gigabyte.</summary>
    public async Task<string> BulkAsync()
    {
        var rounds = await RoundAsync(options.Variants, stage.PostgresPort, async route =>
        {
            var (cpu, begun) = (route.CpuSeconds, Stopwatch.GetTimestamp());
            await stage.RunAsync(
                "psql", "-h", "127.0.0.1", "-p", Text(route.Port), "-U", "postgres", "-d", "postgres", "-q", "-o",
                "/dev/null",
                "-c", "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT");
            var seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
            return new Result(BulkGigabytes / seconds, 0, 0, (route.CpuSeconds - cpu) / BulkGigabytes);
        });
        var table = new StringBuilder(
            "## COPY TO STDOUT, 1 GB\n\n| way | GB/s | ratio | CPU, s per GB | ratio |\n|---|---|---|---|---|\n");
        foreach (var name in rounds.Ways)
        {
            table.AppendLine(CultureInfo.InvariantCulture,
                $"| {name} | {rounds.Median(name, one => one.Tps):F2} | {rounds.Ratio(name, one => one.Tps)} | "
                    + $"{rounds.Median(name, one => one.Cpu):F2} | "
                    + $"{rounds.Ratio(name, one => one.Cpu, isLessBetter: true)} |");
        }
        return table.ToString();
    }

    /// <summary>Resident memory with idle sessions before a pretend backend.</summary>
    public async Task<string> IdleAsync()
    {
        using var backend = new PretendBackend();
        await stage.LeadAsync("pretend", backend.Port);
        var table =
            new StringBuilder(
                "## Resident memory with idle sessions, three seconds after the last login\n\n| way | sessions | "
                    + "resident, KiB | KiB per session |\n|---|---|---|---|\n");
        foreach (var variant in options.Variants.Where(one => one is not ("direct" or "splice" or "haproxy1")))
        {
            using var route = await stage.OpenAsync(variant, backend.Port);
            var open = new List<Socket>();
            try
            {
                open.Add(await PretendBackend.LoginAsync(route.Port));   // warm: the code of a login is in memory
                await Task.Delay(s_rest);
                var empty = route.ResidentKiB;
                table.AppendLine(CultureInfo.InvariantCulture, $"| {variant} | 1 | {empty} | |");
                foreach (var wanted in s_idle)
                {
                    while (open.Count < wanted)
                    {
                        open.AddRange(
                            await Task.WhenAll(Enumerable.Range(0, Math.Min(50, wanted - open.Count))
                                .Select(_ => PretendBackend.LoginAsync(route.Port))));
                    }
                    await Task.Delay(s_rest);
                    table.AppendLine(CultureInfo.InvariantCulture,
                        $"| {variant} | {wanted} | {route.ResidentKiB} | "
                            + $"{(route.ResidentKiB - empty) / (double)(wanted - 1):F2} |");
                }
            }
            catch (Exception problem) when (problem is IOException or SocketException)
            {
                table.AppendLine(CultureInfo.InvariantCulture,
                    $"| {variant} | after {open.Count}: {problem.Message} | | |");
            }
            finally
            {
                open.ForEach(socket => socket.Dispose());
            }
        }
        await stage.LeadAsync("n1", stage.PostgresPort);
        return table.ToString();
    }

    /// <summary>From the call that puts the leader key to the first login at the new leader.</summary>
    public async Task<string> SwitchAsync()
    {
        const int Times = 200;
        using var a = new PretendBackend();
        using var b = new PretendBackend();
        await stage.LeadAsync("b", b.Port);
        await stage.LeadAsync("a", a.Port);
        using var route = await stage.OpenAsync("epoll", a.Port);
        (await PretendBackend.LoginAsync(route.Port)).Dispose();
        var times = new List<double>();
        for (var turn = 0; turn < Times; turn++)
        {
            var (name, next) = turn % 2 == 0 ? ("b", b) : ("a", a);
            var before = next.Logins;
            await stage.Keys.DeleteAsync("leader");
            var begun = Stopwatch.GetTimestamp();
            await stage.Keys.PutAsync("leader", name);
            while (next.Logins == before)
            {
                (await PretendBackend.LoginAsync(route.Port)).Dispose();
            }
            times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        }
        times.Sort();
        await stage.LeadAsync("n1", stage.PostgresPort);
        return string.Create(CultureInfo.InvariantCulture, $"""
            ## Leader key put to first session at the new leader

            {Times} changes of leader between two pretend servers; from the call of the put to the end of the first login there.

            | p50, ms | p99, ms | slowest, ms |
            |---|---|---|
            | {times[Times / 2]:F1} | {times[Times * 99 / 100]:F1} | {times[^1]:F1} |

            """);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private async Task<Rounds<Result>> RoundAsync(
        IReadOnlyList<string> variants, int target, Func<Route, Task<Result>> measure)
    {
        var routes = new List<Route>();
        try
        {
            foreach (var variant in variants)
            {
                routes.Add(await stage.OpenAsync(variant, target));
            }
            var rounds = new Rounds<Result>(variants);
            await rounds.RunAsync(options.Runs, way => measure(routes[way]));
            return rounds;
        }
        finally
        {
            routes.ForEach(route => route.Dispose());
        }
    }

    private async Task<Result> BenchAsync(Route route, params string[] arguments)
    {
        var prefix = Path.Combine(stage.Folder, $"l{Guid.NewGuid():N}");
        var cpu = route.CpuSeconds;
        var output = await stage.RunAsync(
            "pgbench", ["-n", "-T", Text(options.Seconds), "-l", $"--log-prefix={prefix}", "-h", "127.0.0.1", "-p",
                Text(route.Port), "-U", "postgres", .. arguments, "postgres"]);
        var used = route.CpuSeconds - cpu;
        var times = new List<int>();
        foreach (var file in Directory.GetFiles(stage.Folder, Path.GetFileName(prefix) + "*"))
        {
            times.AddRange(
                File.ReadLines(file).Select(line => int.Parse(line.Split(' ')[2], CultureInfo.InvariantCulture)));
            File.Delete(file);
        }
        times.Sort();
        var tps = double.Parse(
            output.Split('\n').First(line => line.StartsWith("tps = ", StringComparison.Ordinal)).Split(' ')[2],
            CultureInfo.InvariantCulture);
        return new Result(tps, times[times.Count / 2], times[times.Count * 99 / 100], used * 1e6 / times.Count);
    }

    /// <summary>One run.</summary>
    /// <param name="Tps">Transactions, or gigabytes, per second.</param>
    /// <param name="P50">Microseconds.</param>
    /// <param name="P99">Microseconds.</param>
    /// <param name="Cpu">Microseconds per transaction, or seconds per gigabyte.</param>
    private sealed record Result(double Tps, double P50, double P99, double Cpu);
}
