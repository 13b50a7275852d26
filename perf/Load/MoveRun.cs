using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Npgsql;
using Routing.TestKit;

namespace Routing.Load;

/// <summary>
/// Many sessions at rest that move to another leader after an announced switchover: how long it takes from the new
/// leader key to the last session that has moved.
/// </summary>
/// <remarks>
/// The two servers are both primaries all the time, so that what is measured is the proxy's and their logins. With the
/// pretended ones it is the proxy's alone.
/// </remarks>
internal sealed partial class MoveRun(Options options, Stage stage)
{
    private const int Sessions = 1000, AtOnce = 50;
    private const string Leader = "move1", Candidate = "move2";
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(15) };
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly string[] s_state =
    [
        "SET work_mem = '7MB'", "SET search_path = public, pg_catalog", "PREPARE held AS SELECT 'held' || $1::text",
    ];

    /// <summary>Clean sessions and sessions with state.</summary>
    public async Task<string> RunAsync()
    {
        var table = new StringBuilder(string.Create(CultureInfo.InvariantCulture, $"""
            ## {Sessions} sessions at rest move

            An announced switchover between two servers that both take writes; from the put of the new leader key until the
            proxy has moved all sessions. Held: from the announcement until all of them are held, and asked for what they
            hold. State: two settings and a prepared statement. The sessions that live on were asked afterwards.

            | sessions | servers | runs | held, ms: median (range) | moved, ms: median (range) | live on |
            |---|---|---|---|---|---|

            """));
        using (var a = new PretendBackend())
        using (var b = new PretendBackend())
        {
            table.AppendLine(await MeasureAsync("clean", "pretended", a.Port, b.Port, OpenSocketsAsync));
        }
        var (first, second) = await stage.StartTwinsAsync(Leader, Candidate, Sessions + 50);
        table.AppendLine(await MeasureAsync("clean", "PostgreSQL", first, second, port => OpenAsync(port, [])));
        table.AppendLine(
            await MeasureAsync("with state", "PostgreSQL", first, second, port => OpenAsync(port, s_state)));
        await stage.LeadAsync("n1", stage.PostgresPort);
        return table.ToString();
    }

    private async Task<string> MeasureAsync(
        string kind, string servers, int first, int second, Func<int, Task<IOpenSessions>> openAsync)
    {
        List<double> held = [], moved = [];
        var alive = 0;
        for (var run = 0; run < options.Runs; run++)
        {
            await stage.LeadAsync(Candidate, second);
            await stage.LeadAsync(Leader, first);
            var admin = FreePorts.Take();
            using var route = await stage.OpenAsync("io_uring", first, admin);
            var metrics = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{admin}/metrics"));
            await using var sessions = await openAsync(route.Port);
            await UntilAsync(
                async () => await SumAsync(metrics, Registered()) == 1
                    && await SumAsync(metrics, Open()) >= Sessions,
                "the proxy is registered and has all sessions");

            var term = (await stage.Keys.GetAsync("leader"))!.CreateRevision;
            var id = Guid.NewGuid().ToString("N");
            var announced = Stopwatch.GetTimestamp();
            await stage.Keys.PutAsync(
                "routing/switchover",
                $$"""{"id":"{{id}}","leader":"{{Leader}}","candidate":"{{Candidate}}","term":{{term}},"left_ms":30000}""");
            await UntilAsync(
                async () => (await stage.Keys.AllAsync()).Any(
                    one => one.Key.StartsWith("routing/routers/", StringComparison.Ordinal)
                        && (string?)one.Value.JsonOrNull?["ready"] == id),
                "the proxy is ready");
            held.Add(Stopwatch.GetElapsedTime(announced).TotalMilliseconds);

            await stage.Keys.DeleteAsync("leader");
            var begun = Stopwatch.GetTimestamp();
            await stage.Keys.PutAsync("leader", Candidate);
            await UntilAsync(
                async () => await SumAsync(metrics, Moves()) >= Sessions, "all sessions have moved or ended");
            moved.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            await stage.Keys.DeleteAsync("routing/switchover");
            alive += await sessions.CountAliveAsync();
            await Console.Error.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"move, {kind}, {servers}: held {held[^1]:0} ms, moved {moved[^1]:0} ms"));
        }
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {kind} | {servers} | {options.Runs} | {Spread(held)} | {Spread(moved)} | "
            + $"{alive} of {Sessions * options.Runs} |");
    }

    private static async Task<IOpenSessions> OpenSocketsAsync(int port)
    {
        var sockets = new List<Socket>();
        while (sockets.Count < Sessions)
        {
            sockets.AddRange(
                await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => PretendBackend.LoginAsync(port))));
        }
        return new OpenSockets(sockets);
    }

    private static async Task<IOpenSessions> OpenAsync(int port, string[] state)
    {
        await using var source = new NpgsqlSlimDataSourceBuilder(
            $"Host=127.0.0.1;Port={port};Username=postgres;Database=postgres;Pooling=false;Timeout=60;SSL Mode=Disable;"
            + "GSS Encryption Mode=Disable;Server Compatibility Mode=NoTypeLoading").Build();
        var open = new List<NpgsqlConnection>();
        while (open.Count < Sessions)
        {
            open.AddRange(await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(async _ =>
            {
                var connection = await source.OpenConnectionAsync();
                foreach (var sql in state)
                {
                    await using var command = new NpgsqlCommand(sql, connection);
                    await command.ExecuteNonQueryAsync();
                }
                return connection;
            })));
        }
        return new OpenConnections(open, state.Length > 0 ? "EXECUTE held(current_setting('work_mem'))" : "SELECT 1");
    }

    private static async Task<double> SumAsync(Uri metrics, Regex line) =>
        line.Matches(await s_http.GetStringAsync(metrics))
            .Sum(one => double.Parse(one.Groups[1].Value, CultureInfo.InvariantCulture));

    private static Task UntilAsync(Func<Task<bool>> condition, string what) =>
        WaitUntil.TrueAsync(condition, s_patience, what);

    private static string Spread(List<double> values)
    {
        values.Sort();
        return string.Create(
            CultureInfo.InvariantCulture, $"{values[values.Count / 2]:0} ({values[0]:0}–{values[^1]:0})");
    }

    [GeneratedRegex(@"^routing_proxy_registered (\S+)$", RegexOptions.Multiline)]
    private static partial Regex Registered();

    [GeneratedRegex(@"^routing_proxy_sessions\{.*\} (\S+)$", RegexOptions.Multiline)]
    private static partial Regex Open();

    [GeneratedRegex(@"^routing_proxy_sessions_(?:not_)?moved_total\{.*\} (\S+)$", RegexOptions.Multiline)]
    private static partial Regex Moves();

    /// <summary>Sessions that clients hold open.</summary>
    private interface IOpenSessions : IAsyncDisposable
    {
        /// <summary>How many of them answer, with what they held.</summary>
        Task<int> CountAliveAsync();
    }

    private sealed class OpenSockets(List<Socket> sockets) : IOpenSessions
    {
        // The pretended server answers nothing: one that was ended can be read.
        public Task<int> CountAliveAsync() =>
            Task.FromResult(sockets.Count(one => !one.Poll(0, SelectMode.SelectRead) || one.Available > 0));

        public ValueTask DisposeAsync()
        {
            sockets.ForEach(one => one.Dispose());
            return ValueTask.CompletedTask;
        }
    }

    private sealed class OpenConnections(List<NpgsqlConnection> connections, string question) : IOpenSessions
    {
        public async Task<int> CountAliveAsync()
        {
            var alive = 0;
            foreach (var connection in connections)
            {
                try
                {
                    await using var command = new NpgsqlCommand(question, connection);
                    alive += await command.ExecuteScalarAsync() is 1 or "held7MB" ? 1 : 0;
                }
                catch (NpgsqlException)
                {
                    // It has ended.
                }
            }
            return alive;
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var connection in connections)
            {
                await connection.DisposeAsync();
            }
        }
    }
}
