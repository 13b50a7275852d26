using System.Collections.Immutable;
using Routing.Agent.Backups;
using Routing.Agent.Loop;
using Routing.Agent.Postgres;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Agent.Rest;

/// <summary>What REST may ask of the agent. None of it waits for the loop, save for what says so.</summary>
internal interface IAgentControl
{
    /// <summary>A random name of this life of the agent, by which it knows its own answers.</summary>
    string Id => "";

    /// <summary>The newest status.</summary>
    AgentStatus Status { get; }

    /// <summary>The DCS: for requests that write a key (failover, config) or must read anew (cluster).</summary>
    IClusterStore Store { get; }

    /// <summary>The members as their REST tells them.</summary>
    IPeers Peers { get; }

    /// <summary>What operators ask of this member.</summary>
    OrderDesk Orders { get; }

    /// <summary>Lets the loop run now: something changed that it should look at.</summary>
    void WakeLoop();

    /// <summary>A member would like a newer position than the last observation's: look at the server now.</summary>
    void LookNow() => WakeLoop();

    /// <summary>A leader that lost the DCS asks whether it may stay. The answer must come at once.</summary>
    FailsafeAnswer ReceiveFailsafe(FailsafeMessage message);

    /// <summary>
    /// The values that <paramref name="next"/> changes and that this node's PostgreSQL does not accept, one sentence
    /// each.
    /// </summary>
    ValueTask<ImmutableArray<string>> RefusalsAsync(
        DynamicConfig present, DynamicConfig next, CancellationToken cancellationToken);

    /// <summary>
    /// The parameters that this node's PostgreSQL knows, by name; null while it does not answer.
    /// </summary>
    ValueTask<IReadOnlyDictionary<string, ParameterDefinition>?> CatalogueAsync(CancellationToken cancellationToken);

    /// <summary>Asks the servers of a remote cluster what they are; about 10 s at most.</summary>
    Task<ImmutableArray<RemoteServer>> AskRemoteAsync(
        ImmutableArray<HostPort> hosts, CancellationToken cancellationToken);

    /// <summary>
    /// What the repository holds, and how the archiver does. Runs a program, at most every two seconds.
    /// </summary>
    Task<BackupReport> BackupsAsync(CancellationToken cancellationToken) => Task.FromResult(new BackupReport());

    /// <summary>
    /// The last answer of <see cref="BackupsAsync"/>, at once, about a minute old at most; null: there is none.
    /// </summary>
    BackupReport? RecallBackups() => null;

    /// <summary>Reads the local configuration again, as SIGHUP does.</summary>
    void RequestReload();
}
