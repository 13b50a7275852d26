using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Simulation.Tests;

/// <summary>One life of a node's agent, of whatever kind.</summary>
/// <param name="process">Where it runs.</param>
/// <param name="store">Its way to the DCS.</param>
internal abstract class SimMember(SimProcess process, InMemoryClusterStore store)
{
    public SimProcess Process => process;

    public InMemoryClusterStore Store => store;

    /// <summary>The newest view of the cluster that it acts on; null: it keeps none between its runs.</summary>
    public virtual ClusterSnapshot? Seen => null;

    /// <summary>Why it does what it does, in one sentence.</summary>
    public abstract string Reason { get; }

    public abstract void Start();

    public abstract void Wake();

    /// <summary>It is to end in good order.</summary>
    public abstract void Stop();

    /// <summary>Its configuration file has other tags now, and it was told to read it again.</summary>
    public abstract void Adopt(MemberTags tags);

    /// <summary>What <c>GET /patroni</c> tells, as the asker reads it.</summary>
    public abstract PeerReport Report();

    public abstract FailsafeReply ReceiveFailsafe(FailsafeMessage message);
}
