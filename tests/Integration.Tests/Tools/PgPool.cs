using System.Diagnostics;
using System.Globalization;
using System.Text;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests.Tools;

/// <summary>
/// Pgpool-II in streaming replication mode, as it stands in front of a cluster that something else fails over: it
/// watches, detaches and attaches, and has no command to change anything.
/// </summary>
internal sealed class PgPool : IAsyncDisposable
{
    public const string Program = "/usr/sbin/pgpool";
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private readonly TempDirectory _directory = new("pgpool");
    private readonly OrdinaryProcess _process;

    /// <summary>Starts it before some members.</summary>
    public PgPool(IReadOnlyList<TestNode> nodes)
    {
        OrdinaryProcess.GiveAway(_directory.Path);
        File.WriteAllText(_directory["pool_passwd"], "postgres:TEXTsuper\n");
        File.WriteAllText(_directory["pcp.conf"], "");
        File.WriteAllText(_directory["pool_hba.conf"], "");
        File.WriteAllText(_directory["pgpool.conf"], Configuration(nodes));
        foreach (var file in Directory.GetFiles(_directory.Path))
        {
            OrdinaryProcess.GiveAway(file);
        }
        _process = OrdinaryProcess.Start(
            _directory["log"], _directory.Path, Program, "-n", "-D",
            "-f", _directory["pgpool.conf"], "-F", _directory["pcp.conf"], "-a", _directory["pool_hba.conf"]);
    }

    /// <summary>Where clients connect.</summary>
    public int Port { get; } = FreePorts.Take();

    /// <summary>What it wrote.</summary>
    public string Log => string.Join('\n', File.Exists(_directory["log"])
        ? File.ReadLines(_directory["log"]).TakeLast(40)
        : []);

    /// <summary>
    /// The servers by their ports, with what it thinks of each: <c>primary up</c>, <c>standby down</c>…
    /// </summary>
    /// <remarks>It understands its own statements in the simple protocol alone, which Npgsql does not speak.</remarks>
    public async Task<IReadOnlyDictionary<int, string>?> NodesAsync()
    {
        var start = new ProcessStartInfo(PostgresClient.PathOf("psql"))
        {
            ArgumentList =
            {
                "-XAtc", "SHOW POOL_NODES", string.Create(CultureInfo.InvariantCulture,
                    $"host=127.0.0.1 port={Port} user=postgres password=super dbname=postgres connect_timeout=15"),
            },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var psql = Process.Start(start)!;
        var complaints = psql.StandardError.ReadToEndAsync();
        var rows = (await psql.StandardOutput.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        await psql.WaitForExitAsync();
        await complaints;
        // node_id, hostname, port, status, pg_status, lb_weight, role …; between two primaries it has none to lead to.
        return psql.ExitCode != 0 ? null : rows.Select(row => row.Split('|')).ToDictionary(
            row => int.Parse(row[2], CultureInfo.InvariantCulture), row => $"{row[6]} {row[3]}");
    }

    /// <summary>The port of the server that a transaction which writes gets to; null: it fails.</summary>
    public async Task<int?> WritesToAsync()
    {
        try
        {
            await using var connection = await OpenAsync();
            await using var transaction = await connection.BeginTransactionAsync();
            await using var command = new NpgsqlCommand(
                "CREATE TEMPORARY TABLE pooled AS SELECT current_setting('port')::int AS port", connection);
            await command.ExecuteNonQueryAsync();
            await using var asked = new NpgsqlCommand("SELECT port FROM pooled", connection);
            return (int?)await asked.ExecuteScalarAsync();
        }
        catch (NpgsqlException)
        {
            return null;
        }
    }

    /// <summary>Opens a session, with a connection to each server behind it.</summary>
    public async Task<NpgsqlConnection> OpenAsync()
    {
        var connection = new NpgsqlConnection(Superuser.ConnectionString("127.0.0.1", Port, commandTimeout: 30));
        await connection.OpenAsync();
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Send(ProcessSignal.Quit);   // its children end with it
            await _process.WaitForExitAsync(s_limit);
        }
        _process.Dispose();
        _directory.Dispose();
    }

    private string Configuration(IReadOnlyList<TestNode> nodes)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"""
            backend_clustering_mode = 'streaming_replication'
            listen_addresses = '127.0.0.1'
            port = {Port}
            socket_dir = '{_directory.Path}'
            pcp_listen_addresses = '127.0.0.1'
            pcp_port = {FreePorts.Take()}
            pcp_socket_dir = '{_directory.Path}'
            wd_ipc_socket_dir = '{_directory.Path}'
            pid_file_name = '{_directory["pid"]}'
            logdir = '{_directory.Path}'
            pool_passwd = 'pool_passwd'
            num_init_children = 8
            connection_cache = off
            sr_check_period = 1
            sr_check_user = 'postgres'
            sr_check_password = 'super'
            sr_check_database = 'postgres'
            health_check_period = 1
            health_check_timeout = 10
            health_check_user = 'postgres'
            health_check_password = 'super'
            health_check_database = 'postgres'
            failover_command = ''
            follow_primary_command = ''
            failover_on_backend_error = on
            failover_on_backend_shutdown = on
            auto_failback = on
            auto_failback_interval = 1

            """);
        for (var i = 0; i < nodes.Count; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"""
                backend_hostname{i} = '127.0.0.1'
                backend_port{i} = {nodes[i].Port}
                backend_weight{i} = 1
                backend_flag{i} = 'ALLOW_TO_FAILOVER'
                backend_application_name{i} = '{nodes[i].Name}'

                """);
        }
        return text.ToString();
    }
}
