using System.Text.Json.Nodes;

namespace Routing.TestKit;

/// <summary>
/// A pgBackRest repository in a local folder. It outlives the clusters that use it, as a repository must.
/// </summary>
public sealed class BackupRepository : IDisposable
{
    /// <summary>The stanza: pgBackRest's word for one cluster's part of a repository.</summary>
    public const string Stanza = "pay";

    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);
    private readonly TempDirectory _directory = new("repository");
    private readonly List<(string Key, string Value)> _repository;
    private int _runs;

    /// <summary>Creates an empty one. Skips the running test where there is no pgBackRest.</summary>
    public BackupRepository()
    {
        Installed.Require("pgbackrest");
        OrdinaryProcess.GiveAway(_directory.Path);
        _repository = [("repo1-path", Folder), ("repo1-retention-full", "2")];
    }

    /// <summary>Where it stands.</summary>
    public string Folder => _directory["repo"];

    /// <summary>Takes other options of the repository's than its folder, such as those of a host.</summary>
    public void Reach(params (string Key, string Value)[] options)
    {
        _repository.Clear();
        _repository.AddRange(options);
    }

    /// <summary>pgBackRest's configuration file of a node.</summary>
    public static string ConfigOf(TestNode node)
    {
        ArgumentNullException.ThrowIfNull(node);
        return Path.Combine(node.DirectoryPath, "pgbackrest.conf");
    }

    /// <summary>A pgBackRest command of a node, for a shell.</summary>
    public static string CommandOf(TestNode node, string what) =>
        $"pgbackrest --config={ConfigOf(node)} --stanza={Stanza} {what}";

    /// <summary>
    /// Archives into it, makes replicas from it and, where that fails, by pg_basebackup; standbys read its WAL.
    /// </summary>
    public void Configure(TestNode node, JsonObject config)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(config);
        WriteConfig(node);
        var postgresql = config["postgresql"]!.AsObject();
        var parameters = postgresql["parameters"]!.AsObject();
        parameters["archive_mode"] = "on";
        parameters["archive_command"] = CommandOf(node, "archive-push %p");
        postgresql["recovery_conf"] = new JsonObject { ["restore_command"] = CommandOf(node, "archive-get %f %p") };
        config["pgbackrest"] = new JsonObject { ["stanza"] = Stanza, ["config"] = ConfigOf(node) };
        postgresql["create_replica_methods"] = new JsonArray("pgbackrest", "basebackup");
        postgresql["pgbackrest"] = new JsonObject
        {
            ["command"] = CommandOf(node, "--delta --type=standby restore"),
            ["keep_data"] = true,
            ["no_params"] = true,
        };
    }

    /// <summary>Makes new clusters by a restore to a target.</summary>
    /// <param name="node">The node.</param>
    /// <param name="config">Its configuration.</param>
    /// <param name="target">For example <c>--type=immediate</c>.</param>
    public static void BootstrapFrom(TestNode node, JsonObject config, string target)
    {
        ArgumentNullException.ThrowIfNull(config);
        var bootstrap = config["bootstrap"]!.AsObject();
        bootstrap["method"] = "pgbackrest";
        bootstrap["pgbackrest"] = new JsonObject
        {
            ["command"] = CommandOf(node, $"--delta {target} --target-action=promote restore"),
            ["keep_existing_recovery_conf"] = true,
            ["no_params"] = true,
        };
    }

    /// <summary>Writes pgBackRest's configuration file of a node.</summary>
    public void WriteConfig(TestNode node)
    {
        ArgumentNullException.ThrowIfNull(node);
        var text = $"""
            [global]
            {string.Join('\n', _repository.Select(option => $"{option.Key}={option.Value}"))}
            lock-path={node.DirectoryPath}/lock
            spool-path={node.DirectoryPath}/spool
            log-level-console=info
            log-level-file=off
            start-fast=y
            archive-timeout=60

            [{Stanza}]
            pg1-path={node.DataDirectory}
            pg1-port={node.Port}
            pg1-socket-path={node.DirectoryPath}
            pg1-user=postgres

            """;
        File.WriteAllText(ConfigOf(node), text);
    }

    /// <summary>Runs pgBackRest on a node, and expects success.</summary>
    /// <returns>What it printed.</returns>
    public async Task<string> RunAsync(TestNode node, params string[] arguments)
    {
        var (code, output) = await TryRunAsync(node, arguments);
        return code == 0
            ? output
            : throw new InvalidOperationException($"pgbackrest {string.Join(' ', arguments)}: {code}\n{output}");
    }

    /// <summary>Runs pgBackRest on a node.</summary>
    /// <returns>The exit code, and what it printed.</returns>
    public Task<(int Code, string Output)> TryRunAsync(TestNode node, params string[] arguments) =>
        TryRunAsync(ConfigOf(node), arguments);

    /// <summary>Runs pgBackRest with a configuration file.</summary>
    /// <returns>The exit code, and what it printed.</returns>
    public async Task<(int Code, string Output)> TryRunAsync(string config, params string[] arguments)
    {
        var log = _directory[$"run-{Interlocked.Increment(ref _runs)}.log"];
        using var run = OrdinaryProcess.Start(
            log, _directory.Path, ["pgbackrest", $"--config={config}", $"--stanza={Stanza}", .. arguments]);
        var code = await run.WaitForExitAsync(s_limit);
        return (code, await File.ReadAllTextAsync(log));
    }

    /// <summary>Makes the stanza, and the first full backup.</summary>
    public async Task BeginAsync(TestNode node)
    {
        await RunAsync(node, "stanza-create");
        await RunAsync(node, "--type=full", "backup");
    }

    /// <summary>Waits until a position of a primary's WAL is in the repository.</summary>
    public static async Task ArchiveAsync(TestNode primary)
    {
        ArgumentNullException.ThrowIfNull(primary);
        var segment = await primary.SqlAsync("SELECT pg_walfile_name(pg_switch_wal())");
        await WaitUntil.TrueAsync(
            async () => string.CompareOrdinal(
                await primary.SqlAsync("SELECT last_archived_wal FROM pg_stat_archiver"), segment) >= 0,
            s_limit, $"{segment} is archived");
    }

    /// <summary>The folder of the archive, as <c>repo-ls</c> takes it: <c>archive/pay/15-1</c>.</summary>
    public string Archive() =>
        Path.GetRelativePath(Folder, Directory.EnumerateDirectories(Path.Combine(Folder, "archive", Stanza)).Single());

    /// <summary>The labels of the backups, the oldest first.</summary>
    public IReadOnlyList<string> Backups() =>
        [.. Directory.EnumerateDirectories(Path.Combine(Folder, "backup", Stanza), "2*")
            .Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)];

    /// <summary>
    /// Loses all archived WAL but for what belongs to the first backup, until the answer is disposed of.
    /// </summary>
    public IDisposable LoseWal() => new Gap(Path.Combine(Folder, "archive", Stanza), _directory["lost"]);

    /// <inheritdoc/>
    public void Dispose() => _directory.Dispose();

    private sealed class Gap : IDisposable
    {
        private readonly List<(string From, string To)> _moved = [];

        public Gap(string archive, string away)
        {
            Directory.CreateDirectory(away);
            // The backup's last segment has a small file beside it that says so.
            var files = Directory.EnumerateFiles(archive, "0*-*", SearchOption.AllDirectories)
                .Select(file => (Path: file, Name: Path.GetFileName(file)[..24])).OrderBy(file => file.Name).ToList();
            var last = Directory.EnumerateFiles(archive, "*.backup", SearchOption.AllDirectories)
                .Select(file => Path.GetFileName(file)[..24]).Min(StringComparer.Ordinal);
            foreach (var file in files.Where(file => string.CompareOrdinal(file.Name, last) > 0))
            {
                _moved.Add((file.Path, Path.Combine(away, Path.GetFileName(file.Path))));
                File.Move(file.Path, _moved[^1].To);
            }
        }

        public void Dispose()
        {
            foreach (var (from, to) in _moved)
            {
                File.Move(to, from);
            }
        }
    }
}
