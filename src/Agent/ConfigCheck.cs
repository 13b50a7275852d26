using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Rest;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Settings;

namespace Routing.Agent;

/// <summary>
/// <c>--validate-config</c>: what reading alone can't know — ports, the DCS, programs, the data directory.
/// </summary>
internal sealed class ConfigCheck(TimeProvider time, TextWriter output, TextWriter errors)
{
    private static readonly TimeSpan s_connectTimeout = TimeSpan.FromSeconds(3);

    private static readonly string[] s_unreachable = ["127.0.0.1", "0.0.0.0", "*", "::1", "localhost"];

    private static readonly string[] s_clusterFiles = ["global/pg_control", "PG_VERSION"];

    private readonly SettingsReport _report = new();
    private SettingsTree _tree = new();

    /// <summary>Checks everything; one line per failure goes to the error output.</summary>
    /// <param name="path">The file or directory; null: the environment alone.</param>
    /// <param name="environment">The agent's variables.</param>
    /// <param name="ignoreBusyPorts">A port that is in use is no failure (the agent may run already).</param>
    /// <param name="print">Print the merged configuration, without its secrets, when nothing is wrong.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    /// <returns>The exit code: 0, or 1 with failures.</returns>
    public async Task<int> ValidateAsync(
        string? path, SettingsEnvironment environment, bool ignoreBusyPorts, bool print,
        CancellationToken cancellationToken)
    {
        var result = AgentSettingsReader.Load(path, environment);
        _tree = result.Tree;
        foreach (var warning in result.Warnings)
        {
            await errors.WriteLineAsync(warning.ToReportLine());
        }
        foreach (var error in result.Errors.Concat(result.BootstrapErrors))
        {
            _report.Error(error);
        }
        if (result.Draft is { } settings)
        {
            await CheckAsync(settings, ignoreBusyPorts, cancellationToken);
        }
        foreach (var error in _report.Errors)
        {
            await errors.WriteLineAsync(error.ToReportLine());
        }
        if (!_report.Errors.IsEmpty)
        {
            return 1;
        }
        if (print)
        {
            await output.WriteAsync(YamlWriter.Write(SecretText.Masked(result.Tree.Root)));
        }
        return 0;
    }

    /// <summary>
    /// One check after the other; a value that could not even be read is left out, and one that breaks a check fails
    /// it.
    /// </summary>
    private async Task CheckAsync(AgentSettings settings, bool ignoreBusyPorts, CancellationToken cancellationToken)
    {
        Try("connect_address", () => CheckPublishedAddresses(settings));
        Try("bootstrap.dcs", () => CheckInitialDynamic(settings));
        Try("restapi.listen",
            () => Bind("restapi.listen", settings.Rest.Listen.Host, settings.Rest.Listen.Port, ignoreBusyPorts));
        foreach (var host in settings.Postgres.ListenAddresses)
        {
            Try("postgresql.listen", () => Bind("postgresql.listen", host, settings.Postgres.Port, ignoreBusyPorts));
        }
        CheckFiles(settings);
        foreach (var endpoint in settings.Etcd.Endpoints)
        {
            await TryAsync("etcd3.hosts", () => CheckDcsAsync(endpoint, cancellationToken), cancellationToken);
        }
        string? postgres = null;
        Try("postgresql.bin_dir", () => postgres = CheckPrograms(settings));
        await TryAsync("postgresql.data_dir", () => CheckDataDirectoryAsync(settings, postgres, cancellationToken),
            cancellationToken);
    }

    private void Try(string path, Action check)
    {
        try
        {
            check();
        }
        catch (Exception problem)
        {
            Fail(path, null, $"can't be used: {problem.Message}");
        }
    }

    private async Task TryAsync(string path, Func<Task> check, CancellationToken cancellationToken)
    {
        try
        {
            await check();
        }
        catch (Exception problem) when (!cancellationToken.IsCancellationRequested)
        {
            Fail(path, null, $"can't be used: {problem.Message}");
        }
    }

    /// <summary>Certificates and keys: what cannot be read ends a start.</summary>
    private void CheckFiles(AgentSettings settings)
    {
        Try("etcd3", settings.Etcd.CheckCertificates);
        Try("restapi.certfile", () =>
        {
            if (settings.Rest.CertificateFile is not null)
            {
                using var certificate = new ServerCertificate();
                certificate.Load(settings.Rest);
            }
        });
        Try("ctl.certfile", () =>
        {
            if (settings.Ctl.CertificateFile is { } file)
            {
                Pem.ReadCertificate(file, settings.Ctl.KeyFile, settings.Ctl.KeyFilePassword).Dispose();
            }
        });
        Try("ctl.cacert", () =>
        {
            if (settings.Ctl.CaFile is { } file)
            {
                Pem.ReadAuthorities(file);
            }
        });
    }

    private void CheckPublishedAddresses(AgentSettings settings)
    {
        var addresses = new (string Path, HostPort? Address)[]
        {
            ("restapi.connect_address", settings.Rest.ConnectAddress),
            ("postgresql.connect_address", settings.Postgres.ConnectAddress),
            ("postgresql.proxy_address", settings.Postgres.ProxyAddress),
        };
        foreach (var (path, address) in addresses)
        {
            if (address is { Host: not null } published
                && s_unreachable.Contains(published.Host, StringComparer.OrdinalIgnoreCase))
            {
                Fail(path, published.ToString(),
                    "must be an address that the other members can reach, not " + string.Join(", ", s_unreachable));
            }
        }
    }

    private void CheckInitialDynamic(AgentSettings settings)
    {
        if (settings.Bootstrap is not { } bootstrap)
        {
            return;
        }
        var dynamicConfig = DynamicConfigReader.Read(bootstrap.Dcs, 0);
        var least = Timing.FencedMinimum;
        AtLeast("ttl", dynamicConfig.Timing.Ttl, least.Ttl);
        AtLeast("loop_wait", dynamicConfig.Timing.LoopWait, least.LoopWait);
        AtLeast("retry_timeout", dynamicConfig.Timing.RetryTimeout, least.RetryTimeout);
        foreach (var problem in EffectivePostgresConfig.Combine(
            settings, dynamicConfig, Role.Primary, majorVersion: 17).Problems)
        {
            Fail("bootstrap.dcs", null, problem);
        }

        void AtLeast(string key, TimeSpan value, TimeSpan minimum)
        {
            if (value < minimum)
            {
                Fail(
                    $"bootstrap.dcs.{key}", value.TotalSeconds.ToString(CultureInfo.InvariantCulture),
                    string.Create(CultureInfo.InvariantCulture, $"must be at least {minimum.TotalSeconds} seconds"));
            }
        }
    }

    private void Bind(string path, string? host, int port, bool ignoreBusyPorts)
    {
        if (string.IsNullOrEmpty(host))
        {
            return;   // it could not be read
        }
        try
        {
            foreach (var address in AddressesOf(host))
            {
                using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
                socket.Bind(new IPEndPoint(address, port));
                socket.Listen(1);
            }
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            if (!ignoreBusyPorts)
            {
                Fail(path, new HostPort(host, port).ToString(), "the port is already in use");
            }
        }
        catch (SocketException e)
        {
            Fail(path, new HostPort(host, port).ToString(), $"can't be listened on: {e.Message}");
        }
    }

    private static IPAddress[] AddressesOf(string host) =>
        host is "*" ? [IPAddress.Any]
        : IPAddress.TryParse(host, out var address) ? [address]
        : Dns.GetHostAddresses(host);

    private async Task CheckDcsAsync(Uri endpoint, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(s_connectTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(endpoint.IdnHost, endpoint.Port, either.Token);
        }
        catch (SocketException e)
        {
            Fail("etcd3.hosts", endpoint.Authority, $"can't be reached: {e.Message}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Fail("etcd3.hosts", endpoint.Authority,
                $"can't be reached: no answer in {s_connectTimeout.TotalSeconds} s");
        }
    }

    /// <summary>Looks for every program; gives the path of <c>postgres</c> when it is there.</summary>
    private string? CheckPrograms(AgentSettings settings)
    {
        var postgres = settings.Postgres;
        var names = postgres.Programs;
        var directories =
            postgres.BinDirectory is { } bin ? [bin] : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        string? found = null;
        foreach (var name in new[]
                 {
                     names.PgCtl, names.InitDb, names.PgControlData, names.PgBaseBackup, names.PgIsReady,
                     names.PgRewind, names.Postgres,
                 })
        {
            found = directories.Select(directory => Path.Combine(directory, name)).FirstOrDefault(File.Exists);
            if (found is null)
            {
                Fail("postgresql.bin_dir", postgres.BinDirectory ?? "(PATH)", $"does not contain the program {name}");
            }
        }
        return found;   // the last one asked for: postgres
    }

    private async Task CheckDataDirectoryAsync(
        AgentSettings settings, string? postgresProgram, CancellationToken cancellationToken)
    {
        const string Setting = "postgresql.data_dir";
        var directory = settings.Postgres.DataDirectory;
        if (directory.Length == 0)
        {
            return;   // it could not be read
        }
        if (File.Exists(directory))
        {
            Fail(Setting, directory, "must be a directory");
            return;
        }
        try
        {
            if (!Directory.Exists(directory) || !Directory.EnumerateFileSystemEntries(directory).Any())
            {
                return;
            }
            foreach (var part in s_clusterFiles.Where(part => !File.Exists(Path.Combine(directory, part))))
            {
                Fail(Setting, directory, $"is not empty, but no PostgreSQL data directory: {part} is missing");
                return;
            }
            var dataVersion =
                (await File.ReadAllTextAsync(Path.Combine(directory, "PG_VERSION"), cancellationToken)).Trim();
            if (postgresProgram is not null
                && await ProgramVersionAsync(postgresProgram, cancellationToken) is { } version
                && version != dataVersion)
            {
                Fail(Setting, directory, $"was made by PostgreSQL {dataVersion}, the program is of version {version}");
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Fail(Setting, directory, $"can't be read: {e.Message}");
        }
    }

    private async Task<string?> ProgramVersionAsync(string program, CancellationToken cancellationToken)
    {
        var command = new Command(program, "--version") { Timeout = TimeSpan.FromSeconds(10) };
        var result = await new CommandRunner(time).CaptureAsync(command, cancellationToken);
        var word = result.IsSuccess
            ? result.Output.Split(' ').FirstOrDefault(part => part.Length > 0 && char.IsAsciiDigit(part[0]))
            : null;
        if (word is null)
        {
            Fail("postgresql.bin_dir", program, $"does not say its version: {result.Result}");
            return null;
        }
        return string.Concat(word.TakeWhile(char.IsAsciiDigit));
    }

    private void Fail(string path, string? value, string message) =>
        _report.Error(new SettingsProblem(_tree.OriginOf(path), path, value, message));
}
