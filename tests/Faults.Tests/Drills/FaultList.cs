using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>All faults that a cluster is drilled in.</summary>
internal static class FaultList
{
    private static readonly TimeSpan s_etcdAway =
        TimeSpan.FromSeconds(Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 } ? 60 : 14);

    public static ImmutableArray<Fault> All { get; } =
    [
        // Processes.
        new("postmaster killed", Leadership.Either, async stage =>
        {
            stage.Leader.SignalPostmaster(ProcessSignal.Kill);
            await stage.SomebodyWritesAsync();
        }),
        new("agent killed", Leadership.Moves, async stage =>
        {
            await stage.KillAgentAsync(stage.Leader);
            await stage.AnotherLeadsAsync();
        }),
        new("agent and postmaster killed", Leadership.Moves, async stage =>
        {
            await stage.KillAsync(stage.Leader);
            await stage.AnotherLeadsAsync();
        }),
        new("agent frozen for longer than ttl, and woken", Leadership.Moves, async stage =>
        {
            stage.FreezeAgent(stage.Leader);
            await stage.AnotherLeadsAsync();
        }),
        new("postmaster frozen", Leadership.Either, async stage =>
        {
            var postmaster = stage.Leader.PostmasterPid!.Value;
            stage.OnHeal(() => OrdinaryProcess.Send(postmaster, ProcessSignal.Continue));
            OrdinaryProcess.Send(postmaster, ProcessSignal.Stop);
            await stage.LastAsync(leases: 2);
        }),
        new("PostgreSQL of the primary frozen whole", Leadership.Either, async stage =>
        {
            var frozen = stage.Leader.FreezePostgres();
            stage.OnHeal(frozen.Dispose);
            await stage.LastAsync(leases: 2);
        }),
        new("PostgreSQL of a (synchronous) standby frozen", Leadership.Stays, async stage =>
        {
            var frozen = stage.Standby.FreezePostgres();
            stage.OnHeal(frozen.Dispose);
            await stage.LastAsync(leases: 2);
        }),

        // The network.
        new("primary cut from etcd", Leadership.Moves, async stage =>
        {
            stage.Cut(stage.Leader, stage.Etcd);
            await stage.AnotherLeadsAsync();
        }),
        new("primary cut from the standbys", Leadership.Stays, async stage =>
        {
            stage.Cut(stage.Leader, stage.Standbys);
            await stage.LastAsync(leases: 2);
        }),
        new("primary cut from everything", Leadership.Moves, async stage =>
        {
            stage.Cut(stage.Leader, [.. stage.Etcd, .. stage.Standbys]);
            await stage.AnotherLeadsAsync();
        })
        { IsChosen = true },
        new("one-way: nothing that the primary sends arrives", Leadership.Moves, async stage =>
        {
            stage.Cut(stage.Leader, [.. stage.Etcd, .. stage.Standbys], inward: false);
            await stage.AnotherLeadsAsync();
        })
        { IsChosen = true },
        new("one-way: nothing arrives at the primary", Leadership.Moves, async stage =>
        {
            stage.Cut(stage.Leader, [.. stage.Etcd, .. stage.Standbys], outward: false);
            await stage.AnotherLeadsAsync();
        }),

        // etcd.
        new("etcd's leader killed", Leadership.Stays, async stage =>
        {
            await stage.KillEtcdLeaderAsync();
            await stage.LastAsync(leases: 1.5);
        }),
        new($"etcd away for {s_etcdAway.TotalSeconds:0} s", Leadership.Either, async stage =>
        {
            await stage.KillEtcdAsync();
            await Stage.LastAsync(s_etcdAway);
        }),
        new($"etcd away for {s_etcdAway.TotalSeconds:0} s, failsafe mode", Leadership.Stays, async stage =>
        {
            await stage.KillEtcdAsync();
            await Stage.LastAsync(s_etcdAway);
        })
        { Failsafe = true },

        // Disks.
        new("disk of the primary full", Leadership.Either, async stage =>
        {
            var filler = Path.Combine(stage.Leader.DiskPath, "filler");
            stage.OnHeal(() => File.Delete(filler));
            Disk.Fill(filler);
            // The write that needs a new file of WAL is the first that notices.
            await Disk.SwitchWalAsync(stage.Leader);
            await stage.LastAsync(leases: 3);
        })
        { NeedsDisks = true },
        new("data directory of the primary read-only", Leadership.Either, async stage =>
        {
            var directory = stage.Leader.DataDirectory;
            stage.OnHeal(() => Disk.MakeWritable(directory));
            Disk.MakeReadOnly(directory);
            await Disk.SwitchWalAsync(stage.Leader);
            await stage.LastAsync(leases: 3);
        }),

        // Crashes in the middle of a change.
        new("crash during promotion", Leadership.Either, async stage =>
        {
            await stage.KillAsync(stage.Leader);
            TestNode? next = null;
            await stage.Cluster.UntilAsync(
                async () => await stage.Cluster.LeaderNameAsync() is { } name
                    && (next = stage.Cluster[name]) != stage.Leader,
                "another holds the key");
            await stage.KillAsync(next!);
            await stage.LastAsync(leases: 1.5);
        }),
        new("crash during rewind", Leadership.Moves, async stage =>
        {
            var old = stage.Leader;
            foreach (var sender in old.Backends("walsender"))
            {
                OrdinaryProcess.Send(sender, ProcessSignal.Stop);
            }
            await old.SqlAsync(
                "SET synchronous_commit = local; CREATE TABLE only_here AS SELECT generate_series(1, 1000)");
            await stage.KillAsync(old);
            await stage.AnotherLeadsAsync();
            BrokenRewind.Order(old);
            old.Start();
            await stage.Cluster.UntilAsync(() => BrokenRewind.HasHappened(old), "a rewind was killed in its middle");
            await old.KillAsync();
        }),
        new("crash during clone", Leadership.Stays, async stage =>
        {
            var node = stage.Standby;
            await stage.KillAsync(node);
            node.LoseDisk();
            var postgresql = node.Config["postgresql"]!.AsObject();
            // A copy that takes many minutes.
            postgresql["basebackup"] = new JsonObject { ["max-rate"] = "32k" };
            stage.OnHeal(async () =>
            {
                await node.KillAsync();
                postgresql.Remove("basebackup");
                node.WriteConfig();
            });
            node.WriteConfig();
            node.Start();
            await stage.Cluster.UntilAsync(
                () => Directory.EnumerateFiles(node.DiskPath, "backup_label", SearchOption.AllDirectories).Any(),
                "the copy runs");
        }),

        // Two at once.
        new("pause, primary cut from etcd, resume by another", Leadership.Either, async stage =>
        {
            var cluster = stage.Cluster;
            stage.OnHeal(() => cluster.ConfigureAsync(new JsonObject { ["pause"] = null }));
            await cluster.ConfigureAsync(new JsonObject { ["pause"] = true });
            foreach (var node in cluster.Nodes)
            {
                await cluster.UntilAsync(
                    async () => (await node.GetAsync("/patroni"))?["pause"]?.GetValue<bool>() == true,
                    $"{node} is paused");
            }
            stage.Cut(stage.Leader, stage.Etcd);
            await cluster.UntilAsync(async () => await cluster.LeaderNameAsync() is null, "the leader key has ended");
            var (code, text) = await stage.Standby.SendAsync("PATCH", "/config", new JsonObject { ["pause"] = null });
            Assert.True(code == 200, text);
            await stage.LastAsync(leases: 2);
        })
        { IsChosen = true },
        new("two at once: agent and postmaster, etcd's leader killed", Leadership.Moves, async stage =>
        {
            await Task.WhenAll(stage.KillEtcdLeaderAsync(), stage.KillAsync(stage.Leader));
            await stage.AnotherLeadsAsync();
        })
        { IsChosen = true },
        new("two at once: primary cut from everything, a standby's agent frozen", Leadership.Either, async stage =>
        {
            stage.FreezeAgent(stage.Standby);
            stage.Cut(stage.Leader, [.. stage.Etcd, .. stage.Standbys]);
            await stage.AnotherMayLeadAsync();
        }),
        new("two at once: nodes of the primary and a (synchronous) standby killed", Leadership.Either, async stage =>
        {
            await Task.WhenAll(stage.KillAsync(stage.Standby), stage.KillAsync(stage.Leader));
            await stage.AnotherMayLeadAsync();
        }),
    ];

    public static Fault Named(string name) => All.Single(fault => fault.Name == name);
}
