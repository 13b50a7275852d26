using System.Text.RegularExpressions;
using Routing.TestKit;

namespace Routing.Cli.Tests;

/// <summary>
/// The pages on backup, disaster, standby clusters and migration: each of their commands is run by a test on real
/// servers. Two pages are read by the tests that run them; of the others this table says which test runs what.
/// </summary>
public sealed partial class PageCommandsTests
{
    /// <summary>
    /// The command, without what only names a place; the file below <c>tests</c>; and a text there that runs it.
    /// Commands of the same words stand once.
    /// </summary>
    private static readonly (string Command, string File, string Text)[] s_runs =
    [
        ("pgbackrest --stanza=orders archive-push %p", "TestKit/BackupRepository.cs", "\"archive-push %p\""),
        ("pgbackrest --stanza=orders archive-get %f %p", "TestKit/BackupRepository.cs", "\"archive-get %f %p\""),
        ("pgbackrest --stanza=orders --delta --type=standby restore", "TestKit/BackupRepository.cs",
            "\"--delta --type=standby restore\""),
        ("pgbackrest --stanza=orders stanza-create", "Integration.Tests/BackupTests.cs", "\"stanza-create\""),
        ("pgbackrest --stanza=orders --type=full backup", "TestKit/BackupRepository.cs", "\"--type=full\", \"backup\""),
        ("routingctl -c /etc/routing/agent.yml backup orders --type full", "Integration.Tests/BackupTests.cs",
            "BackUpAsync(first, \"--type\", \"full\")"),
        ("routingctl -c /etc/routing/agent.yml backup orders --type incr --role replica",
            "Integration.Tests/BackupTests.cs", "\"--type\", \"incr\", \"--role\", \"replica\")"),
        ("routingctl -c /etc/routing/agent.yml backup --type incr", "packages/run", "run_backup_timer"),
        ("routingctl backup", "Integration.Tests/BackupTests.cs", "\"backup\", \"pay\""),
        ("systemctl enable --now routing-backup.timer", "packages/run",
            "routing-backup\\.(timer|service)' docs/backup.md"),
        ("systemctl edit routing-backup.service", "packages/run", "edit routing-backup.service'"),
        ("systemctl edit routing-backup.timer", "packages/run", "edit routing-backup.timer'"),
        ("curl -s http://NODE:8008/backup", "Integration.Tests/BackupTests.cs", "DocumentAsync(\"/backup\")"),
        ("pgbackrest server", "Integration.Tests/RepositoryHostTests.cs", "\"server\""),
        ("pg_basebackup -h NODE -U postgres -D /backup/full -c fast", "Integration.Tests/IncrementalBackupTests.cs",
            "\"pg_basebackup\""),
        ("pg_basebackup -h NODE -U postgres -D /backup/increment -c fast --incremental=/backup/full/backup_manifest",
            "Integration.Tests/IncrementalBackupTests.cs", "--incremental="),
        ("pg_combinebackup /backup/full /backup/increment -o /backup/combined",
            "Integration.Tests/IncrementalBackupTests.cs", "\"pg_combinebackup\""),
        ("barman recover --target-time \"2026-11-30 14:00:00+00\" --target-action promote orders latest /data/patroni",
            "Integration.Tests/BarmanTests.cs", "recover --target-time"),
        ("barman switch-wal --force --archive orders", "Integration.Tests/BarmanTests.cs",
            "\"switch-wal\", \"--force\", \"--archive\""),
        ("pgbackrest --stanza=orders --delta --type=time \"--target=2026-11-30 14:00:00+00\" --target-action=promote "
            + "restore", "Integration.Tests/BackupTests.cs", "--type=time"),
        ("SELECT pg_create_restore_point('before_update')", "Integration.Tests/BackupTests.cs",
            "SELECT pg_create_restore_point("),
        ("pgbackrest --stanza=orders repo-ls archive/orders/15-1", "Integration.Tests/BackupTests.cs", "\"repo-ls\""),
        ("routingctl restore orders --to '2026-11-30 14:00:00+00' --dry-run", "Integration.Tests/RestoreTests.cs",
            "\"--to\", moment, \"--dry-run\""),
        ("routingctl restore orders --to '2026-11-30 14:00:00+00'", "Integration.Tests/RestoreTests.cs",
            "\"--to\", moment, \"--force\""),
        ("routingctl restore", "Integration.Tests/RestoreTests.cs", "\"restore\""),
        ("routingctl restore orders --call-off", "Integration.Tests/RestoreTests.cs", "\"--call-off\""),
        ("routingctl restore NAME --follow", "Integration.Tests/RestoreTests.cs", "\"--follow\""),
        ("routingctl restore NAME --to TIME", "Integration.Tests/RestoreTests.cs", "\"--to\", moment"),
        ("routingctl restore NAME --call-off", "Integration.Tests/RestoreTests.cs", "\"--call-off\""),
        ("routingctl rebuild-keys orders --member http://node2:8008 --member http://node3:8008 --dry-run",
            "Faults.Tests/StoreLifeTests.cs", "[.. words, \"--dry-run\"]"),
        ("routingctl rebuild-keys orders --member http://node2:8008 --member http://node3:8008",
            "Faults.Tests/StoreLifeTests.cs", "\"rebuild-keys\""),
        ("routingctl rebuild-keys", "Faults.Tests/StoreLifeTests.cs", "\"rebuild-keys\""),
        ("etcdctl snapshot restore", "TestKit/EtcdServer.cs", "\"snapshot\", \"restore\""),
        ("routingctl reinit orders NODE", "Integration.Tests/TwelveCommandsTests.cs", "\"reinit\""),
        ("routingctl reinit NAME MEMBER", "Integration.Tests/TwelveCommandsTests.cs", "\"reinit\""),
        ("routingctl remove orders", "Integration.Tests/TwelveCommandsTests.cs", "\"remove\""),
        ("routingctl history orders", "Integration.Tests/TwelveCommandsTests.cs", "\"history\""),
        ("routingctl history", "Integration.Tests/TwelveCommandsTests.cs", "\"history\""),
        ("routingctl check orders", "Integration.Tests/OperatorTests.cs", "\"check\", cluster.Scope"),
        ("routingctl check NAME", "Integration.Tests/OperatorTests.cs", "\"check\", cluster.Scope"),
        ("routingctl check", "Integration.Tests/OperatorTests.cs", "\"check\", cluster.Scope"),
        ("routingctl list", "Integration.Tests/TwelveCommandsTests.cs", "\"list\", cluster.Scope"),
        ("routingctl list NAME", "Integration.Tests/TwelveCommandsTests.cs", "\"list\", cluster.Scope"),
        ("routingctl why", "Integration.Tests/WhyTests.cs", "\"why\", \"pay\""),
        ("routingctl why NAME", "Integration.Tests/WhyTests.cs", "\"why\", \"pay\""),
        ("routingctl resume", "Integration.Tests/TwelveCommandsTests.cs", "\"resume\""),
        ("routingctl restart", "Integration.Tests/Migration/TakeoverTests.cs", "\"restart\""),
        ("CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'change-me';",
            "Integration.Tests/Migration/HandMadeServers.cs", "CREATE ROLE replicator"),
        ("routingctl demote-cluster", "Integration.Tests/ClusterConversionFaultTests.cs",
            "\"demote-cluster\", a.Scope"),
        ("pgbackrest stanza-create", "Integration.Tests/BackupTests.cs", "\"stanza-create\""),
    ];

    /// <summary>Commands that nobody is to run, and why a page has them.</summary>
    private static readonly Dictionary<string, string> s_notRun = new(StringComparer.Ordinal)
    {
        ["patronictl promote-cluster"] = "The page warns of it: Patroni asks nobody before it promotes.",
    };

    /// <summary>A test reads the page and runs these itself, and fails when one of them is left over.</summary>
    private static readonly Dictionary<string, (string File, string Text)> s_readers = new(StringComparer.Ordinal)
    {
        ["migration.md"] = ("Integration.Tests/Migration/MigrationTests.cs", "MigrationPage.Labels"),
        ["standby-cluster.md"] = ("Integration.Tests/StandbyClusterTests.cs", "Assert.Empty(_page)"),
    };

    [Theory]
    [InlineData("backup.md")]
    [InlineData("disaster.md")]
    [InlineData("standby-cluster.md")]
    [InlineData("migration.md")]
    public void Every_command_is_run_by_a_test(string page)
    {
        var (read, others) = CommandsOf(Repository.Document(page));
        var unknown = others.Concat(s_readers.ContainsKey(page) ? [] : read)
            .Where(command => s_runs.All(run => run.Command != command) && !s_notRun.ContainsKey(command)).ToList();

        Assert.NotEmpty(others);
        Assert.True(unknown.Count == 0, $"docs/{page}: no test is named for\n{string.Join('\n', unknown)}");
        if (s_readers.TryGetValue(page, out var reader))
        {
            Assert.NotEmpty(read);
            Assert.Contains(reader.Text, TextOf(reader.File), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Each_test_that_is_named_for_a_command_runs_it()
    {
        var known = s_readers.Keys.Concat(["backup.md", "disaster.md"])
            .Select(page => CommandsOf(Repository.Document(page)))
            .SelectMany(page => page.Read.Concat(page.Others)).ToList();

        Assert.Empty(s_runs.Select(run => run.Command).Concat(s_notRun.Keys).Except(known));
        Assert.Empty(s_runs.Where(run => !TextOf(run.File).Contains(run.Text, StringComparison.Ordinal))
            .Select(run => $"{run.File} has no {run.Text}"));
    }

    private static string TextOf(string file) => Repository.Document($"../tests/{file}");

    /// <summary>
    /// The commands in blocks that a test reads (of a shell, or with a prompt that names the side), and all others: in
    /// other blocks, as settings, and within sentences.
    /// </summary>
    private static (List<string> Read, List<string> Others) CommandsOf(string text)
    {
        var (read, others) = (new List<string>(), new List<string>());
        foreach (Match block in Blocks().Matches(text))
        {
            var isShell = block.Groups["language"].Value.StartsWith("sh", StringComparison.Ordinal);
            foreach (var line in block.Groups["line"].Captures.Select(line => line.Value.Trim()))
            {
                if (Prompt().Match(line) is { Success: true } prompt)
                {
                    read.Add(line[prompt.Length..]);
                }
                else if (Command().Match(line) is { Success: true } command)
                {
                    (isShell ? read : others).Add(line[command.Groups["command"].Index..]);
                }
            }
        }
        var sentences = Break().Replace(Blocks().Replace(text, ""), " ");
        others.AddRange(Span().Matches(sentences).Select(span => span.Groups[1].Value)
            .Where(span => Command().Match(span) is { Success: true } command && command.Groups["command"].Index == 0
                && span.Contains(' ', StringComparison.Ordinal)));
        return (read, others);
    }

    [GeneratedRegex("^ *```(?<language>.*)\n(?:(?<line>.*)\n)*? *```$", RegexOptions.Multiline)]
    private static partial Regex Blocks();

    [GeneratedRegex(@"^[ab]\$ ")]
    private static partial Regex Prompt();

    [GeneratedRegex(
        "^(?:[a-z_]*command: )?(?<command>(?:routingctl|routing-agent|pgbackrest|systemctl|etcdctl|pg_basebackup"
            + "|pg_combinebackup|barman|curl|psql|patronictl|SELECT|CREATE|runuser|apt-get)(?: |$).*)")]
    private static partial Regex Command();

    [GeneratedRegex(@"\s*\n\s*")]
    private static partial Regex Break();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Span();
}
