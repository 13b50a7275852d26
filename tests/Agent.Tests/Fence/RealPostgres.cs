using System.Globalization;
using Npgsql;
using Routing.Agent.Native;
using Routing.Agent.Tests.Native;
using Routing.TestKit;

namespace Routing.Agent.Tests.Fence;

/// <summary>A PostgreSQL of the machine's own, run as the user postgres, for the fence to end.</summary>
internal sealed class RealPostgres : IAsyncDisposable
{
    private static readonly CommandRunner s_runner = new(TimeProvider.System);

    private readonly string _directory;
    private readonly int _port;
    private readonly NpgsqlDataSource _source;

    private RealPostgres(string directory, int port)
    {
        _directory = directory;
        _port = port;
        _source = NpgsqlDataSource.Create(
            $"Host=127.0.0.1;Port={port};Username=postgres;Database=postgres;Pooling=false;Timeout=5;Command "
                + $"Timeout=0");
    }

    public int Pid { get; private set; }

    public ulong Start { get; private set; }

    public IReadOnlyList<int> AllPids => [Pid, .. from child in ProcessStat.ChildrenOf(Pid) select child.Pid];

    private string Data => Path.Combine(_directory, "data");

    public static async Task<RealPostgres> StartAsync()
    {
        var directory = $"/tmp/routing-fence-{Guid.NewGuid():N}";
        await RunAsPostgresAsync("mkdir", "-m", "700", directory);
        var postgres = new RealPostgres(directory, FreePorts.Take());
        await RunAsPostgresAsync(
            PostgresUnderTest.PathOf("initdb"), "-D", postgres.Data, "-A", "trust", "-U", "postgres", "--no-sync",
            "-E", "UTF8", "--locale=C");
        await postgres.StartServerAsync();
        return postgres;
    }

    public async Task<NpgsqlConnection> ConnectAsync() =>
        await _source.OpenConnectionAsync(TestContext.Current.CancellationToken);

    /// <summary>Starts a statement that runs until the server is gone; it never ends well.</summary>
    public async Task<Task> RunForeverAsync(string sql)
    {
        var connection = await ConnectAsync();
        return Task.Run(async () =>
        {
            await using (connection)
            {
                await using var command = new NpgsqlCommand(sql, connection);
                await command.ExecuteNonQueryAsync();
            }
        });
    }

    public static void Signal(int signal, params ReadOnlySpan<int> pids)
    {
        foreach (var pid in pids)
        {
            using var process = PidFd.TryOpen(pid);
            process?.TrySignal(signal);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        foreach (var pid in AllPids)
        {
            Signal(Signals.Kill, pid);
        }

        await Eventually.TrueAsync(() => ProcessStat.Read(Pid) is not { IsAlive: true },
            "the test's PostgreSQL has ended");
        Directory.Delete(_directory, recursive: true);
    }

    private async Task StartServerAsync()
    {
        var command = AsPostgres(
            PostgresUnderTest.PathOf("postgres"), "-D", Data, "-p", _port.ToString(CultureInfo.InvariantCulture),
            "-c", "listen_addresses=127.0.0.1", "-c", $"unix_socket_directories={_directory}", "-c", "fsync=off",
            "-c", "dynamic_shared_memory_type=mmap");   // in the data directory: nothing stays behind in /dev/shm
        using var starter = Spawner.Start(
            new SpawnRequest(command.Program, command.Arguments) { LogFile = Path.Combine(_directory, "log") });
        Pid = starter.Pid;   // setpriv becomes the postmaster
        await Eventually.TrueAsync(IsReady, "PostgreSQL accepts connections", seconds: 30);
        Start = ProcessStat.Read(Pid)!.Value.StartTicks;
    }

    private bool IsReady()
    {
        try
        {
            using var connection = _source.OpenConnection();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    private static async Task RunAsPostgresAsync(params string[] command)
    {
        var result = await s_runner.CaptureAsync(AsPostgres(command), TestContext.Current.CancellationToken);
        Assert.True(result.IsSuccess, result.Error);
    }

    /// <summary>PostgreSQL refuses to run as root; any other user can run it as it is.</summary>
    private static Command AsPostgres(params string[] command) => Environment.IsPrivilegedProcess
        ? new Command("setpriv", ["--reuid=postgres", "--regid=postgres", "--init-groups", .. command])
        : new Command(command[0], command.AsSpan(1));
}
