using System.Globalization;
using System.Text.RegularExpressions;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>pgbench with one of its scripts, or one that inserts a row in a transaction.</summary>
/// <param name="script">What it runs.</param>
/// <param name="mode">The protocol: <c>simple</c>, <c>extended</c> or <c>prepared</c>.</param>
/// <param name="clients">How many clients.</param>
/// <param name="reconnects">A connection for each transaction.</param>
internal sealed partial class PgbenchClient(PgbenchScript script, string mode, int clients, bool reconnects = false)
    : ProgramClient(
        string.Create(
            CultureInfo.InvariantCulture,
            $"pgbench, {NameOf(script)}, {mode}{(reconnects ? " -C" : "")}, {clients} clients"),
        script == PgbenchScript.TpcB ? "pgbench_history" : $"drill_bench_{mode}{(reconnects ? "_c" : "")}")
{
    private const int Scale = 5;

    // The tables that have to agree with the history.
    private const string Sums = """
        SELECT (SELECT sum(abalance) FROM pgbench_accounts) || ' ' || (SELECT sum(tbalance) FROM pgbench_tellers)
            || ' ' || (SELECT sum(bbalance) FROM pgbench_branches)
        """;

    private TempDirectory? _directory;

    public override async Task PrepareAsync(TestNode leader)
    {
        if (script == PgbenchScript.Insert)
        {
            await base.PrepareAsync(leader);
            return;
        }
        using var directory = new TempDirectory("pgbench");
        OrdinaryProcess.GiveAway(directory.Path);
        var (code, output) = await PostgresClient.RunAsync(
            directory, leader.Port, "pgbench", "-i", "-q", "-s", Text(Scale));
        Assert.True(code == 0, output);
        await leader.SqlAsync(
            "GRANT ALL ON pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history TO "
            + DrillPlace.User);
    }

    // Selects leave no row; its log is written whenever some kilobytes have come together.
    public override Task<long> DoneAsync(TestNode leader) => script == PgbenchScript.Select
        ? Task.FromResult(_directory is { } directory ? Logs(directory).Sum(file => new FileInfo(file).Length) : 0)
        : base.DoneAsync(leader);

    public override async Task VerifyAsync(TestNode leader)
    {
        switch (script)
        {
            case PgbenchScript.Insert:
                await base.VerifyAsync(leader);
                break;
            case PgbenchScript.TpcB:
                Assert.Equal(
                    Text(Acknowledged), await leader.SqlAsync("SELECT count(*) FROM pgbench_history"));
                var delta = await leader.SqlAsync("SELECT coalesce(sum(delta), 0) FROM pgbench_history");
                Assert.Equal($"{delta} {delta} {delta}", await leader.SqlAsync(Sums));
                break;
        }
    }

    protected override IReadOnlyList<string> Command(DrillPlace place)
    {
        _directory = place.Directory;
        string[] what = script switch
        {
            PgbenchScript.TpcB => ["-b", "tpcb-like"],
            PgbenchScript.Select => ["-b", "select-only"],
            _ => ["-f", WriteScript(place)],
        };
        // With -C each client needs a thread of its own: it waits in its connect, and the others of its thread would
        // be left in the middle of a transaction.
        string[] threads = reconnects ? ["-C", "-j", Text(clients)] : ["-j", "2"];
        return
        [
            "env", $"PGPASSWORD={DrillPlace.Password}", "PGSSLMODE=disable", PostgresClient.PathOf("pgbench"), "-n",
            "-h", "127.0.0.1", "-p", Text(place.Port), "-U", DrillPlace.User, "-M", mode, "-c", Text(clients), "-T",
            "3600", "-l", $"--log-prefix={Prefix(place.Directory)}", .. threads, .. what, "postgres",
        ];
    }

    // As when its time is over: each client ends its transaction.
    protected override void Stop(OrdinaryProcess process, DrillPlace place) => process.Send(ProcessSignal.Alarm);

    // The others go on when one of its clients has lost its connection.
    protected override bool HasFailed(string output) => output.Contains("aborted", StringComparison.Ordinal);

    protected override void Read(string output, DrillPlace place)
    {
        if (Processed().Match(output) is not { Success: true } processed
            || (Failed().Match(output) is { Success: true } failed && failed.Groups[1].Value != "0"))
        {
            throw new InvalidOperationException($"{Name} has failed transactions:\n{output}");
        }
        Acknowledged = long.Parse(processed.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture);
        foreach (var file in Logs(place.Directory))
        {
            // client, transaction, its time, script, seconds since 1970, microseconds
            Dictionary<string, double> last = [];
            foreach (var line in File.ReadLines(file))
            {
                var words = line.Split(' ');
                var ended = (Number(words[4]) * 1000) + (Number(words[5]) / 1000);
                if (last.TryGetValue(words[0], out var before))
                {
                    Pauses.Add(ended, ended - before);
                }
                last[words[0]] = ended;
            }
        }
    }

    private static string NameOf(PgbenchScript script) => script switch
    {
        PgbenchScript.TpcB => "TPC-B",
        PgbenchScript.Select => "select",
        _ => "inserts",
    };

    private string WriteScript(DrillPlace place)
    {
        var file = place.Directory[$"{Table}.sql"];
        File.WriteAllText(file, $"BEGIN;\nINSERT INTO {Table} (worker) VALUES ('bench');\nEND;\n");
        return file;
    }

    private string Prefix(TempDirectory directory) => directory[$"{Table}-transactions"];

    private IEnumerable<string> Logs(TempDirectory directory) =>
        Directory.EnumerateFiles(directory.Path, $"{Path.GetFileName(Prefix(directory))}.*");

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"number of transactions actually processed: (\d+)")]
    private static partial Regex Processed();

    [GeneratedRegex(@"number of failed transactions: (\d+)")]
    private static partial Regex Failed();
}

/// <summary>What pgbench runs.</summary>
internal enum PgbenchScript
{
    /// <summary>A transaction with one row of the client's table.</summary>
    Insert,

    /// <summary>Its built-in transaction of five statements.</summary>
    TpcB,

    /// <summary>Its built-in select.</summary>
    Select,
}
