using Microsoft.Extensions.Logging;
using Routing.Dcs;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>What all sessions of the process share.</summary>
internal sealed class SessionHub(
    ITransport transport, Router router, ISessionEvents events, TimeProvider time, ILogger logger,
    SessionSettings settings) : IDisposable
{
    private volatile SessionSettings _settings = settings;
    private volatile bool _isDraining;

    /// <summary>Asks for a sweep over all sessions at a timestamp.</summary>
    public Action<long> SweepAt { get; init; } = static _ => { };

    /// <summary>Moves sessions; null: none moves.</summary>
    public ISessionMover? Mover { get; set; }

    /// <summary>Connects and joins.</summary>
    public ITransport Transport => transport;

    /// <summary>Chooses targets.</summary>
    public Router Router => router;

    /// <summary>Tells slow servers from silent ones.</summary>
    public LifeSign Signs { get; } = new(transport, time);

    /// <summary>Sessions that do not listen again yet.</summary>
    public ListeningSessions Listening { get; } = new();

    /// <summary>Passwords that clients have logged in with in clear text, of sessions that may move.</summary>
    public KeyVault Passwords { get; } = new(LoginObserver.LongestPassword);

    /// <summary>Keys and hashes that clients have logged in with, of sessions that may move.</summary>
    public KeyVault Keys { get; } = new();

    /// <summary>Tells members that stop from those that have ended one session.</summary>
    public StoppingMembers Stopping { get; } = new();

    /// <summary>The parameters that clients of sessions that may move were told.</summary>
    public ParameterShelf Parameters { get; } = new();

    /// <summary>Names clients that were turned away.</summary>
    public RefusalLog Refusals { get; } = new(time, logger);

    /// <summary>Counts those that did not move.</summary>
    public NotMovedCounts NotMoved { get; } = new();

    /// <summary>Tells of sessions that moved.</summary>
    public MoveLog Moves { get; } = new(time, logger);

    /// <summary>Is told what happens.</summary>
    public ISessionEvents Events => events;

    /// <summary>The clock.</summary>
    public TimeProvider Time => time;

    /// <summary>The log.</summary>
    public ILogger Logger => logger;

    /// <summary>The settings of now.</summary>
    public SessionSettings Settings
    {
        get => _settings;
        set => _settings = value;
    }

    /// <summary>New clients are turned away. Never false again.</summary>
    public bool IsDraining
    {
        get => _isDraining;
        set => _isDraining = value;
    }

    /// <summary>The timestamp at which the time to drain is over.</summary>
    public long DrainUntil { get; set; }

    /// <summary>What is left of the time to drain.</summary>
    public TimeSpan DrainLeft => time.GetElapsedTime(time.GetTimestamp(), DrainUntil);

    /// <summary>Clients that are being routed or log in.</summary>
    public SessionCounter Starting { get; } = new();

    /// <summary>Those of them whose login is relayed.</summary>
    public LoginsUnderWay Logins { get; } = new(time);

    /// <summary>Connections that have not sent their whole start-up message.</summary>
    public SessionCounter Pending { get; } = new();

    /// <summary>Time limits of all that is not joined yet.</summary>
    public Deadlines Deadlines { get; } = new(time);

    /// <summary>The open sessions.</summary>
    public SessionTable Sessions { get; } = new(transport.Loops);

    /// <summary>The sessions that can be cancelled.</summary>
    public CancelTable Cancels { get; } = new();

    /// <summary>The limits.</summary>
    public SessionLimits Limits { get; } = new();

    /// <summary>The timestamp at which something is over that begins now.</summary>
    public long After(TimeSpan limit) => time.TimestampAfter(limit);

    /// <inheritdoc/>
    public void Dispose() => Deadlines.Dispose();
}
