using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Npgsql;

namespace Routing.TestKit;

/// <summary>One node of a <see cref="TestCluster"/>: an agent, its fence, and its PostgreSQL.</summary>
public sealed class TestNode : IDisposable
{
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(30) };
    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(30);
    private const int DiskMegabytes = 600;
    private readonly string _dataName;
    private readonly ITestNetwork? _network;
    private OrdinaryProcess? _agent;

    internal TestNode(string name, string directory, string unique, ITestNetwork? network = null)
    {
        Name = name;
        DirectoryPath = directory;
        _network = network;
        Machine = network?.Add(name) ?? TestMachine.This;
        // A fence is told apart by the last part of its data directory.
        _dataName = $"data-{unique}-{name}";
        Directory.CreateDirectory(directory);
        OrdinaryProcess.GiveAway(directory);
        if (network is { HasDisks: true })
        {
            Directory.CreateDirectory(DiskPath);
            network.MountDisk(DiskPath, DiskMegabytes);
        }
    }

    /// <summary>The member's name.</summary>
    public string Name { get; }

    /// <summary>Everything of this node.</summary>
    public string DirectoryPath { get; }

    /// <summary>The machine it runs on.</summary>
    public TestMachine Machine { get; }

    /// <summary>The file system of its data, where its network has disks; its directory otherwise.</summary>
    public string DiskPath => _network is { HasDisks: true } ? Path.Combine(DirectoryPath, "disk") : DirectoryPath;

    /// <summary>PostgreSQL's data directory.</summary>
    public string DataDirectory => Path.Combine(DiskPath, _dataName);

    /// <summary>The agent's configuration file.</summary>
    public string ConfigFile => Path.Combine(DirectoryPath, "agent.yml");

    /// <summary>What the agent wrote to the console.</summary>
    public string LogFile => Path.Combine(DirectoryPath, "agent.log");

    /// <summary>PostgreSQL's port on its machine.</summary>
    public int Port { get; } = FreePorts.Take();

    /// <summary>The agent's REST port on its machine.</summary>
    public int RestPort { get; } = FreePorts.Take();

    /// <summary>The configuration, when it was made of JSON.</summary>
    public JsonObject Config { get; internal set; } = [];

    /// <summary>Patroni, which runs in the place of our agent from the next start on; null: ours does.</summary>
    public PatroniPackage? Patroni { get; set; }

    /// <summary>Whether an agent was started and not yet ended by the test.</summary>
    public bool IsStarted => _agent is not null;

    /// <summary>Whether its agent was started and has ended: a service manager would start it again.</summary>
    public bool HasEnded => _agent is { HasExited: true };

    /// <summary>The agent's process.</summary>
    public int AgentPid => _agent?.Id ?? throw new InvalidOperationException($"The agent of {Name} does not run.");

    /// <summary>The fence; null when none runs.</summary>
    public int? FencePid =>
        OrdinaryProcess.Find(_dataName).Where(p => p.Command.Contains(" --fence ", StringComparison.Ordinal))
        .Select(p => (int?)p.Id).FirstOrDefault();

    /// <summary>The postmaster; null when none runs.</summary>
    public int? PostmasterPid
    {
        get
        {
            try
            {
                var pid = int.Parse(File.ReadLines(Path.Combine(DataDirectory, "postmaster.pid")).First(), null);
                return OrdinaryProcess.IsAlive(pid) ? pid : null;
            }
            catch (Exception none) when (none is IOException or InvalidOperationException or FormatException)
            {
                return null;
            }
        }
    }

    /// <summary>Connects to this node as the superuser, without a pool.</summary>
    public string ConnectionString => Superuser.ConnectionString(Machine.Address, Port, commandTimeout: 30);

    /// <summary>Writes the configuration file from <see cref="Config"/>: JSON is YAML too.</summary>
    public void WriteConfig() => WriteConfig(Config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));

    /// <summary>Writes the configuration file.</summary>
    public void WriteConfig(string yaml) => File.WriteAllText(ConfigFile, yaml);

    /// <summary>Writes a shell script that can be started as a program.</summary>
    /// <returns>Its path.</returns>
    public string WriteProgram(string name, string text)
    {
        var path = Path.Combine(DirectoryPath, name);
        File.WriteAllText(path, "#!/bin/sh\n" + text);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        return path;
    }

    /// <summary>Starts the agent.</summary>
    public void Start()
    {
        if (_agent is { HasExited: false })
        {
            throw new InvalidOperationException($"The agent of {Name} runs already.");
        }
        _agent?.Dispose();
        _agent = StartAgent(ConfigFile);
    }

    /// <summary>Starts an agent with some configuration, and leaves it to the caller.</summary>
    public OrdinaryProcess StartAgent(string configFile) =>
        OrdinaryProcess.Start(
            Machine, LogFile, DirectoryPath, [.. Patroni?.Agent ?? [Programs.Agent], configFile]);

    /// <summary>Asks the agent to end (SIGTERM) and waits for it.</summary>
    /// <returns>The exit code.</returns>
    public Task<int> StopAsync() => EndAgentAsync(ProcessSignal.Terminate);

    /// <summary>Kills the agent alone.</summary>
    public Task KillAgentAsync() => EndAgentAsync(ProcessSignal.Kill);

    /// <summary>Waits until the agent has ended by itself.</summary>
    /// <returns>The exit code.</returns>
    public Task<int> WaitForAgentExitAsync(TimeSpan limit) =>
        (_agent ?? throw new InvalidOperationException($"The agent of {Name} was not started.")).WaitForExitAsync(
            limit);

    /// <summary>Sends the agent a signal.</summary>
    public void SignalAgent(ProcessSignal signal) => OrdinaryProcess.Send(AgentPid, signal);

    /// <summary>Sends the postmaster a signal.</summary>
    public void SignalPostmaster(ProcessSignal signal) =>
        OrdinaryProcess.Send(
            PostmasterPid ?? throw new InvalidOperationException($"PostgreSQL of {Name} does not run."), signal);

    /// <summary>
    /// Freezes PostgreSQL whole, the postmaster and all its children, until the answer is disposed of.
    /// </summary>
    public FrozenNode FreezePostgres()
    {
        var postmaster = PostmasterPid ?? throw new InvalidOperationException($"PostgreSQL of {Name} does not run.");
        return new FrozenNode([], postmaster, isCutOff: false);
    }

    /// <summary>Freezes agent and PostgreSQL, until the answer is disposed of.</summary>
    /// <param name="withFence">The fence as well: nothing of this node runs on.</param>
    /// <param name="isCutOff">And its network swallows everything (<see cref="BlackHole"/>).</param>
    public FrozenNode Freeze(bool withFence = false, bool isCutOff = false)
    {
        var postmaster = PostmasterPid ?? throw new InvalidOperationException($"PostgreSQL of {Name} does not run.");
        int[] fence = withFence ? [FencePid ?? throw new InvalidOperationException($"{Name} has no fence.")] : [];
        return new FrozenNode([AgentPid, .. fence], postmaster, isCutOff);
    }

    /// <summary>PostgreSQL's children whose title contains a word, such as <c>walsender</c>.</summary>
    public IReadOnlyList<int> Backends(string title) =>
        PostmasterPid is { } postmaster
            ? [.. OrdinaryProcess.ChildrenOf(postmaster)
                .Where(pid => OrdinaryProcess.CommandOf(pid).Contains(title, StringComparison.Ordinal))]
            : [];

    /// <summary>
    /// Kills everything at once, as when the machine dies: agent, fence, PostgreSQL with its children.
    /// </summary>
    public async Task KillAsync()
    {
        var first = Processes();
        if (PostmasterPid is { } postmaster)
        {
            OrdinaryProcess.Send(postmaster, ProcessSignal.Stop);
        }
        if (_agent is { HasExited: false } agent)
        {
            agent.Send(ProcessSignal.Kill);
        }
        KillThem(first);
        if (_agent is not null)
        {
            await EndAgentAsync(ProcessSignal.Kill);
        }
        // What was started in between comes to light now that nobody starts more: what is found is killed, until
        // nothing is.
        await WaitUntil.TrueAsync(() => KillThem(Processes()) == 0, s_endLimit, $"the processes of {Name} are gone");
    }

    /// <summary>Forgets all data, as after a disk was replaced. The node must be down.</summary>
    public void LoseDisk() => Directory.Delete(DataDirectory, recursive: true);

    /// <summary>Opens a connection as the superuser.</summary>
    public Task<NpgsqlConnection> OpenAsync() => Superuser.OpenAsync(ConnectionString);

    /// <summary>Runs one statement.</summary>
    /// <returns>The first column of the first row as text; null when there is none.</returns>
    public async Task<string?> SqlAsync(string sql)
    {
        await using var connection = await OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(await command.ExecuteScalarAsync(), System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>The code of a REST answer; 0 when there is none.</summary>
    public async Task<int> StatusAsync(string path, string method = "GET")
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Rest(path));
        try
        {
            using var answer = await s_http.SendAsync(request);
            return (int)answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            return 0;
        }
    }

    /// <summary>
    /// A REST document, whatever its code; null when the agent does not answer, or answers with an error page.
    /// </summary>
    public async Task<JsonNode?> GetAsync(string path)
    {
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            return JsonNode.Parse(
                await (await s_http.GetAsync(Rest(path), limit.Token)).Content.ReadAsStringAsync(limit.Token));
        }
        catch (Exception silent) when (silent is HttpRequestException or OperationCanceledException or JsonException)
        {
            return null;
        }
    }

    /// <summary>A REST document, asked for until the agent gives one.</summary>
    public async Task<JsonNode> DocumentAsync(string path)
    {
        JsonNode? found = null;
        await WaitUntil.TrueAsync(async () => (found = await GetAsync(path)) is not null, s_endLimit,
            $"{Name} answers {path}");
        return found!;
    }

    /// <summary>Sends a REST request with a JSON body.</summary>
    public async Task<(int Code, string Text)> SendAsync(string method, string path, JsonNode? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Rest(path));
        request.Content =
            body is null ? null : new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        using var answer = await s_http.SendAsync(request);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    /// <summary>A REST answer as it comes: its code, its type without parameters, and its text.</summary>
    public async Task<(int Code, string? Type, string Text)> AnswerAsync(
        string method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Rest(path));
        request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await s_http.SendAsync(request);
        return ((int)answer.StatusCode, answer.Content.Headers.ContentType?.MediaType,
            await answer.Content.ReadAsStringAsync());
    }

    /// <summary>The headers of a REST answer that has to be a success.</summary>
    public async Task<System.Net.Http.Headers.HttpResponseHeaders> HeadersAsync(
        string method, string path, string body)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Rest(path));
        request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await s_http.SendAsync(request);
        return answer.EnsureSuccessStatusCode().Headers;
    }

    /// <summary>The end of the agent's log.</summary>
    public string LogTail(int lines = 25) =>
        File.Exists(LogFile) ? string.Join('\n', File.ReadLines(LogFile).TakeLast(lines)) : "(no log)";

    /// <summary>How often a word stands in the agent's log.</summary>
    public int CountInLog(string word) =>
        File.ReadLines(LogFile).Count(line => line.Contains(word, StringComparison.Ordinal));

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <inheritdoc/>
    public void Dispose()
    {
        _agent?.Dispose();
        _network?.UnmountDisk(DiskPath);
        foreach (var shared in Directory.EnumerateDirectories("/dev/shm", "routing-*"))
        {
            foreach (var fence in Directory.EnumerateDirectories(shared, $"{_dataName}*"))
            {
                Directory.Delete(fence, recursive: true);
            }
        }
    }

    /// <summary>Kills at once what is left, without waiting; for the end of the test process.</summary>
    internal void KillNow()
    {
        if (_agent is { HasExited: false } agent)
        {
            agent.Send(ProcessSignal.Kill);
        }
        KillThem(Processes());
        _network?.UnmountDisk(DiskPath);
    }

    private static int KillThem(IReadOnlyList<int> pids)
    {
        foreach (var pid in pids)
        {
            OrdinaryProcess.Send(pid, ProcessSignal.Kill);
        }
        return pids.Count;
    }

    /// <summary>
    /// Everything that names the data directory or works below our directory: initdb's servers name none.
    /// </summary>
    private IReadOnlyList<int> Processes() => OrdinaryProcess.Find(_dataName, DirectoryPath);

    private Uri Rest(string path) => new($"http://{Machine.Address}:{RestPort}{path}");

    private async Task<int> EndAgentAsync(ProcessSignal signal)
    {
        var agent = _agent ?? throw new InvalidOperationException($"The agent of {Name} was not started.");
        if (!agent.HasExited)
        {
            agent.Send(signal);
        }
        var code = await agent.WaitForExitAsync(s_endLimit);
        agent.Dispose();
        _agent = null;
        return code;
    }
}
