using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Routing.Agent.Backups;
using Routing.Agent.Config;
using Routing.Agent.Events;
using Routing.Agent.Loop;
using Routing.Hosting.Logging;
using Routing.Agent.Metrics;
using Routing.Agent.Postgres;
using Routing.Agent.Rest;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Dcs;
using Routing.TestKit;

namespace Routing.Agent.Tests.Rest;

/// <summary>A real REST server on a free port, in front of a status that the test makes up.</summary>
internal sealed class RestHost : IAgentControl, ILogQueue, IAsyncDisposable
{
    private readonly PeerClient _peers;
    private readonly RestServer _server;
    private readonly StatusBoard _board;
    private int _wakes;

    private RestHost(
        AgentStatus status, RestSettings? settings, CtlSettings? ctl, TimeProvider? time, int events)
    {
        Time = time ?? TimeProvider.System;
        Dcs = new InMemoryDcs(TimeProvider.System);
        Link = Dcs.Connect("agent");
        _board = new StatusBoard(status);
        _peers = new PeerClient(ctl ?? new CtlSettings(), TimeProvider.System);
        Events = new AgentEvents(Time, capacity: events, member: status.Name);
        Metrics = new AgentMetrics(status.Scope, status.Name);
        Settings = settings is null ? Loopback() : settings;
        Orders = new OrderDesk(WakeLoop);
        _server = new RestServer(Settings, this, Events, Metrics, this, Time, Log);
        Http = new HttpClient { BaseAddress = new Uri($"http://{Settings.Listen}") };
    }

    public static async Task<RestHost> StartAsync(
        AgentStatus status, RestSettings? settings = null, CtlSettings? ctl = null, TimeProvider? time = null,
        int events = 4)
    {
        var host = new RestHost(status, settings, ctl, time, events);
        await host._server.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }

    public TimeProvider Time { get; }

    public InMemoryDcs Dcs { get; }

    public InMemoryClusterStore Link { get; }

    public AgentEvents Events { get; }

    public AgentMetrics Metrics { get; }

    public RestSettings Settings { get; }

    public HttpClient Http { get; }

    public RestServer Server => _server;

    public LogLines Log { get; } = new();

    public FailsafeAnswer FailsafeAnswer { get; set; } = new(FailsafeVerdict.Accepted, new Lsn(117440896));

    /// <summary>The rule that answers instead of <see cref="FailsafeAnswer"/>.</summary>
    public Func<FailsafeMessage, FailsafeAnswer>? OnFailsafe { get; set; }

    public FailsafeMessage? FailsafeReceived { get; private set; }

    public int Reloads { get; private set; }

    public int Wakes => Volatile.Read(ref _wakes);

    public AgentStatus Status
    {
        get
        {
            StatusAsked?.Invoke();
            return _board.Current;
        }
        set => _board.Publish(value);
    }

    /// <summary>Where the status stands.</summary>
    public StatusBoard Board => _board;

    /// <summary>Called whenever an answer looks at the status.</summary>
    public Action? StatusAsked { get; set; }

    public OrderDesk Orders { get; }

    public IClusterStore Store => Link;

    public IPeers Peers => _peers;

    public int Length { get; set; }

    public long LostRecords { get; set; }

    public static RestSettings Loopback()
    {
        var address = new HostPort("127.0.0.1", FreePorts.Take());
        return new RestSettings { Listen = address, ConnectAddress = address };
    }

    /// <summary>What the loop does when it is woken.</summary>
    public Action OnWake { get; set; } = () => { };

    public void WakeLoop()
    {
        Interlocked.Increment(ref _wakes);
        OnWake();
    }

    public void LookNow()
    {
        // there is no server to look at
    }

    public FailsafeAnswer ReceiveFailsafe(FailsafeMessage message)
    {
        FailsafeReceived = message;
        return OnFailsafe?.Invoke(message) ?? FailsafeAnswer;
    }

    public void RequestReload() => Reloads++;

    public ValueTask<ImmutableArray<string>> RefusalsAsync(
        DynamicConfig present, DynamicConfig next, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Refusals(next));

    public ValueTask<IReadOnlyDictionary<string, ParameterDefinition>?> CatalogueAsync(
        CancellationToken cancellationToken) => ValueTask.FromResult(Catalogue);

    /// <summary>What the servers of the remote cluster say; one that is missing does not answer.</summary>
    public ImmutableArray<RemoteServer> Remote { get; set; } = [];

    public Task<ImmutableArray<RemoteServer>> AskRemoteAsync(
        ImmutableArray<HostPort> hosts, CancellationToken cancellationToken) =>
        Task.FromResult<ImmutableArray<RemoteServer>>([.. hosts.Select(host =>
            Remote.FirstOrDefault(server => server.Address == host) ?? new RemoteServer(host, "refused"))]);

    /// <summary>What is known of the repository of backups.</summary>
    public BackupReport? Repository { get; set; }

    public BackupReport? RecallBackups() => Repository;

    /// <summary>The parameters that the server knows; null: it does not answer.</summary>
    public IReadOnlyDictionary<string, ParameterDefinition>? Catalogue { get; set; }

    /// <summary>What the server would say of a configuration.</summary>
    public Func<DynamicConfig, ImmutableArray<string>> Refusals { get; set; } = _ => [];

    /// <summary>The status code of one request.</summary>
    public async Task<int> CodeAsync(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await Http.SendAsync(request, TestContext.Current.CancellationToken);
        return (int)response.StatusCode;
    }

    /// <summary>The code and the text of one answer.</summary>
    public async Task<(int Code, string Text)> SendAsync(string method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Content = body is null ? null : new StringContent(body);
        using var response = await Http.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)response.StatusCode,
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    public async Task<JsonElement> JsonAsync(string path)
    {
        var (_, text) = await SendAsync("GET", path);
        return JsonElement.Parse(text);
    }

    /// <summary>Sends bytes as they are and returns everything that comes back until the server closes.</summary>
    public async Task<string> RawAsync(string request)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Settings.Listen.Port, cancellationToken);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request), cancellationToken);
        using var answer = new StreamReader(stream, Encoding.Latin1);
        return await answer.ReadToEndAsync(cancellationToken).WaitAsync(TimeSpan.FromSeconds(15), cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _server.DisposeAsync();
        _peers.Dispose();
        await Link.DisposeAsync();
    }
}
