using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Failover;

/// <summary>
/// PgBouncer before the established agent, with a switchover as careful operators script it: PAUSE, the switchover, the
/// new primary's address, RESUME.
/// </summary>
/// <remarks>
/// In session mode PAUSE waits until clients have left. As sessions stay, the script goes on after a while. In
/// transaction mode it waits for the ends of transactions, and sessions can keep no state.
/// </remarks>
internal sealed class PgBouncer : IFront
{
    /// <summary>Of Debian's package.</summary>
    public const string Program = "/usr/sbin/pgbouncer";

    private static readonly TimeSpan s_pauseLimit = TimeSpan.FromSeconds(2);   // as long as our agent waits
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private readonly TestedCluster _cluster;
    private readonly string _psql;
    private readonly string _mode;
    private readonly string _file;
    private readonly int _port = FreePorts.Take();
    private readonly Process _process;

    private PgBouncer(TestedCluster cluster, TestedNode primary, string mode, string postgres)
    {
        (_cluster, _mode, _psql) = (cluster, mode, Path.Combine(postgres, "psql"));
        var directory = Path.Combine(cluster.Path, $"pgbouncer-{mode}-{_port}");
        Directory.CreateDirectory(directory);
        _file = Path.Combine(directory, "pgbouncer.ini");
        Lead(primary);
        _process = Router.Run(directory, Program, _file);
        Way = Router.WayTo(_port);
    }

    public NpgsqlDataSource Way { get; }

    /// <summary>Starts it before a cluster that is whole.</summary>
    /// <param name="cluster">The cluster; the files lie in its directory.</param>
    /// <param name="primary">Its primary.</param>
    /// <param name="mode"><c>session</c> or <c>transaction</c>.</param>
    /// <param name="postgres">The folder of PostgreSQL's programs.</param>
    public static PgBouncer Start(TestedCluster cluster, TestedNode primary, string mode, string postgres) =>
        new(cluster, primary, mode, postgres);

    public Task BecomeReadyAsync(CancellationToken cancellationToken) => Router.BecomeReadyAsync(Way);

    public async Task SwitchOverAsync(TestedNode primary)
    {
        var candidate = _cluster.CandidateOf(primary);
        using var pause = Say("PAUSE");
        var pausing = pause.WaitForExitAsync();
        if (await Task.WhenAny(pausing, Task.Delay(s_pauseLimit)) == pausing && pause.ExitCode != 0)
        {
            throw new InvalidOperationException($"PgBouncer, PAUSE: {await pause.StandardError.ReadToEndAsync()}");
        }
        try
        {
            await _cluster.SwitchOverAsync(primary);
            // The member's own word comes a moment before the server takes writes.
            await WaitUntil.TrueAsync(
                () => candidate.AskAsync<bool>("SELECT NOT pg_is_in_recovery()", CancellationToken.None), s_patience,
                "the candidate is the primary");
            Lead(candidate);
            await SayAsync("RELOAD");
        }
        finally
        {
            // Whoever was connected has lost the connection by now, so that the pause is over.
            if (!pausing.IsCompleted)
            {
                pause.Kill();
                await pausing;
            }
            await TrySayAsync("RESUME");
        }
    }

    public Task<IReadOnlyDictionary<string, long>> CountsAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyDictionary<string, long>>(new Dictionary<string, long>());

    public async ValueTask DisposeAsync()
    {
        await Way.DisposeAsync();
        await Router.EndAsync(_process);
    }

    private void Lead(TestedNode primary) => File.WriteAllText(_file, string.Create(CultureInfo.InvariantCulture, $"""
        [databases]
        postgres = host=127.0.0.1 port={primary.Port} user=postgres password=super
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {_port}
        unix_socket_dir =
        auth_type = any
        admin_users = postgres
        pool_mode = {_mode}
        max_client_conn = 500
        default_pool_size = 90
        server_login_retry = 1
        ignore_startup_parameters = extra_float_digits

        """));

    private Process Say(string command)
    {
        var start = new ProcessStartInfo(_psql) { UseShellExecute = false, RedirectStandardError = true };
        foreach (var word in (string[])
            [
                "-qX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", _port.ToString(CultureInfo.InvariantCulture),
                "-U", "postgres", "-d", "pgbouncer", "-c", command,
            ])
        {
            start.ArgumentList.Add(word);
        }
        return Process.Start(start) ?? throw new InvalidOperationException("psql was not started.");
    }

    private async Task SayAsync(string command)
    {
        using var psql = Say(command);
        var words = await psql.StandardError.ReadToEndAsync();
        await psql.WaitForExitAsync();
        if (psql.ExitCode != 0)
        {
            throw new InvalidOperationException($"PgBouncer, {command}: {words}");
        }
    }

    // It may not be paused any more: that is an error to PgBouncer alone.
    private async Task TrySayAsync(string command)
    {
        using var psql = Say(command);
        await psql.StandardError.ReadToEndAsync();
        await psql.WaitForExitAsync();
    }
}
