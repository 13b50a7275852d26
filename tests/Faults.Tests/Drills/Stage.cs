using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>What a fault finds: a whole cluster under load, its network, and the means to harm both.</summary>
internal sealed class Stage(TestCluster cluster, ITestNetwork network, TestNode leader, TestNode standby, Judge judge)
{
    private readonly Stack<Func<Task>> _repairs = new();

    public TestCluster Cluster => cluster;

    public ITestNetwork Network => network;

    /// <summary>Who leads when the fault begins.</summary>
    public TestNode Leader => leader;

    /// <summary>A standby: in synchronous mode the synchronous one.</summary>
    public TestNode Standby => standby;

    /// <summary>The other standby.</summary>
    public TestNode OtherStandby => cluster.Nodes.Single(node => node != leader && node != standby);

    public IEnumerable<TestMachine> Etcd => cluster.EtcdMembers.Members.Select(member => member.Machine);

    public IEnumerable<TestMachine> Standbys => [standby.Machine, OtherStandby.Machine];

    /// <summary>Notes what undoes a harm. The last harm is undone first.</summary>
    public void OnHeal(Action repair) => OnHeal(() =>
    {
        repair();
        return Task.CompletedTask;
    });

    /// <summary>Notes what undoes a harm. The last harm is undone first.</summary>
    public void OnHeal(Func<Task> repair) => _repairs.Push(repair);

    /// <summary>Undoes all harm.</summary>
    public async Task HealAsync()
    {
        while (_repairs.TryPop(out var repair))
        {
            await repair();
        }
    }

    /// <summary>What these machines send each other is lost.</summary>
    public void Cut(TestNode node, IEnumerable<TestMachine> others, bool outward = true, bool inward = true)
    {
        OnHeal(network.Heal);
        foreach (var other in others)
        {
            if (outward)
            {
                network.Cut(node.Machine, other);
            }
            if (inward)
            {
                network.Cut(other, node.Machine);
            }
        }
    }

    /// <summary>Kills agent, fence and PostgreSQL of a node at once.</summary>
    public Task KillAsync(TestNode node)
    {
        OnHeal(() => StartAgain(node));
        return node.KillAsync();
    }

    public Task KillAgentAsync(TestNode node)
    {
        OnHeal(() => StartAgain(node));
        return node.KillAgentAsync();
    }

    public void FreezeAgent(TestNode node)
    {
        OnHeal(() => node.SignalAgent(ProcessSignal.Continue));
        node.SignalAgent(ProcessSignal.Stop);
    }

    /// <summary>Kills the member that leads etcd.</summary>
    public async Task KillEtcdLeaderAsync()
    {
        EtcdServer? found = null;
        await cluster.UntilAsync(
            async () =>
            {
                foreach (var member in cluster.EtcdMembers.Members)
                {
                    found = found is null && await member.LeadsAsync() ? member : found;
                }
                return found is not null;
            },
            "a member leads etcd");
        OnHeal(found!.RestartAsync);
        await found.KillAsync();
    }

    /// <summary>Kills all of etcd.</summary>
    public async Task KillEtcdAsync()
    {
        var members = cluster.EtcdMembers.Members;
        OnHeal(async () =>
        {
            foreach (var member in members)
            {
                member.Launch();
            }
            await Task.WhenAll(members.Select(member => member.WaitUntilHealthyAsync()));
        });
        await Task.WhenAll(members.Select(member => member.KillAsync()));
    }

    /// <summary>Waits until another member leads and takes writes.</summary>
    public async Task AnotherLeadsAsync()
    {
        var next = await cluster.LeaderAsync(not: leader);
        await judge[next].MoreAsync(20);
    }

    /// <summary>
    /// Waits until another member leads, and no longer than three lives of the lease: it may be that nobody can.
    /// </summary>
    public async Task AnotherMayLeadAsync()
    {
        try
        {
            await WaitUntil.TrueAsync(
                async () => await cluster.LeaderNameAsync() is { } name && name != leader.Name
                    && judge[cluster[name]].Writes.Length > 0,
                cluster.Ttl * 3, "another leads");
        }
        catch (TimeoutException)
        {
            // nobody can
        }
    }

    /// <summary>Waits until some member acknowledges writes again.</summary>
    public Task SomebodyWritesAsync(int count = 50)
    {
        var target = judge.Writes.Count + count;
        return cluster.UntilAsync(() => judge.Writes.Count >= target, $"{count} more writes are acknowledged");
    }

    /// <summary>How long a fault lasts is part of it.</summary>
    public static Task LastAsync(TimeSpan time) => Task.Delay(time, TestContext.Current.CancellationToken);

    /// <summary>How long a fault lasts, in lives of the lease.</summary>
    public Task LastAsync(double leases) => LastAsync(cluster.Ttl * leases);

    private static void StartAgain(TestNode node)
    {
        if (!node.IsStarted)
        {
            node.Start();
        }
    }
}
