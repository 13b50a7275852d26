using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Slots;

namespace Routing.Ha;

/// <summary>
/// Where a member's replication slots are planned from: the DCS, or the failsafe exchange while the DCS is silent.
/// </summary>
/// <param name="Cluster">The cluster: the leader's positions stand in <see cref="LeaderStatus.Slots"/>.</param>
/// <param name="DcsIsSilent">
/// It is the failsafe exchange: slots are advanced, and none is made, dropped or forgotten.
/// </param>
public sealed record SlotBasis(ClusterSnapshot Cluster, bool DcsIsSilent)
{
    /// <summary>The present basis; null: there is none, and no slot is touched.</summary>
    public static SlotBasis? Of(Observation o)
    {
        if (o.Cluster is not { } cluster)
        {
            return null;
        }
        if (o.IsDcsLive && o.Leader is not null)
        {
            return new SlotBasis(cluster, DcsIsSilent: false);
        }
        if (!o.Config.FailsafeMode)
        {
            return null;
        }
        if (o.Lease.HoldsLeader)
        {
            return o.FailsafeHolds ? new SlotBasis(WithPositions(cluster, o.Failsafe), DcsIsSilent: true) : null;
        }
        return o.Failsafe is { PingedBy: { } leader, PingSlots: { } } && o.Failsafe.PingLeft > TimeSpan.Zero
            && leader != o.Self
            ? new SlotBasis(WithLeader(cluster, leader, o.Failsafe), DcsIsSilent: true)
            : null;
    }

    /// <summary>What an observation of the loop tells about slots.</summary>
    /// <param name="o">The observation.</param>
    /// <param name="memory">What the run before returned.</param>
    public SlotObservation Observe(Observation o, SlotMemory memory) => new()
    {
        Self = o.Self,
        Cluster = Cluster,
        Config = o.Config,
        Tags = o.Options.Tags,
        IsLeader = o.Lease.HoldsLeader,
        IsPrimary = o.Local.IsPrimary,
        ServerMajor = o.Local.ServerVersion / 10000,
        Slots = o.Local.Slots,
        Lsn = o.Local.WalPosition,
        ReplayLsn = o.Local.ReplayedLsn,
        PostmasterStart = o.Local.PostmasterStart,
        Remote = RemoteOf(o),
        Report = o.LogicalSlots,
        DcsIsSilent = DcsIsSilent,
        Now = o.Now,
        Memory = memory,
    };

    /// <summary>
    /// The server that this member streams from; null: it leads no standby cluster, or does not stream.
    /// </summary>
    private static RemotePrimary? RemoteOf(Observation o) =>
        o.IsStandbyCluster && o.Lease.HoldsLeader && o.Local is { IsStandby: true, IsStreaming: true }
        && HaLoop.RemoteOf(o.Config) is { } remote && o.Local.Following == remote
        && (o.Local.Sender ?? (remote.Others.IsEmpty ? remote.Address : (HostPort?)null)) is { } sender
            ? new RemotePrimary(sender, remote.SlotName, o.Local.Timeline)
            : null;

    /// <summary>The members' positions by their own answers: their keys are older than the silence.</summary>
    private static ClusterSnapshot WithPositions(ClusterSnapshot cluster, FailsafeView failsafe) => cluster with
    {
        Members = cluster.Members.SetItems(
            from told in failsafe.Positions ?? ImmutableSortedDictionary<string, Lsn>.Empty
            where cluster.Members.ContainsKey(told.Key)
            let member = cluster.Members[told.Key]
            select KeyValuePair.Create(told.Key,
                member with { XlogLocation = told.Value, ReceiveLsn = told.Value, ReplayLsn = told.Value })),
    };

    /// <summary>The cluster with this leader, whose keys may be gone meanwhile, as they belong to a lease.</summary>
    private static ClusterSnapshot WithLeader(ClusterSnapshot cluster, string leader, FailsafeView failsafe) =>
        cluster with
    {
        Leader = cluster.Leader?.Holder == leader ? cluster.Leader : new LeaderKey(leader, default, 0, 0),
        Members = cluster.Members.ContainsKey(leader)
            ? cluster.Members
            : cluster.Members.Add(leader,
                new Member { Name = leader, State = PostgresState.Running, Role = Role.Primary }),
        Status = cluster.Status with { Slots = failsafe.PingSlots! },
    };
}
