using System.Collections.Immutable;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>The others' REST: answered from their status boards, unless they are dead, frozen or cut off.</summary>
internal sealed class SimPeers(
    SimWorld world, SimNetwork network, string self, TimeProvider time, IReadOnlyList<SimNode> nodes) : IPeers
{
    private int _questions;

    /// <summary>Of the answers to a question for consent, one comes too late: each time another member's.</summary>
    public bool OneConsentIsLate { get; init; }

    public async Task<ImmutableArray<PeerReport>> ProbeAsync(
        IReadOnlyList<Member> members, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var reports = new List<Task<PeerReport>>();
        foreach (var member in members)
        {
            reports.Add(AskAsync(member.Name, timeout, node => node.Report(),
                why => PeerReport.Unreachable(member.Name, why), cancellationToken));
        }
        var answers = ImmutableArray.CreateBuilder<PeerReport>();
        foreach (var report in reports)
        {
            answers.Add(await report);
        }
        return answers.ToImmutable();
    }

    public async Task<ImmutableArray<FailsafeReply>> PostFailsafeAsync(
        IReadOnlyList<KeyValuePair<string, string>> members, FailsafeMessage message, TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        var replies = new List<Task<FailsafeReply>>();
        var late = OneConsentIsLate ? members[_questions++ % members.Count].Key : null;
        foreach (var (name, _) in members)
        {
            var reply = AskAsync(
                name, timeout, node => node.ReceiveFailsafe(message), why => new FailsafeReply(name, false, null, why),
                cancellationToken);
            replies.Add(name == late ? TooLateAsync(name, reply) : reply);
        }
        var answers = ImmutableArray.CreateBuilder<FailsafeReply>();
        foreach (var reply in replies)
        {
            answers.Add(await reply);
        }
        return answers.ToImmutable();
    }

    private static async Task<FailsafeReply> TooLateAsync(string name, Task<FailsafeReply> reply)
    {
        await reply;
        return new FailsafeReply(name, false, null, "no answer in time");
    }

    public Task<bool> LivenessAsync(string apiUrl, TimeSpan timeout, CancellationToken cancellationToken) =>
        Task.FromResult(false);

    private async Task<T> AskAsync<T>(string name, TimeSpan timeout, Func<SimNode, T> answer, Func<string, T> silence,
        CancellationToken cancellationToken)
    {
        var node = nodes.FirstOrDefault(n => n.Name == name);
        await Task.Delay(world.Between(0.2, 8), time, cancellationToken);
        if (node is not null && network.Arrives(self, name))
        {
            if (node is { IsUp: true, IsFrozen: false, Agent: null } && network.Arrives(name, self))
            {
                return silence("connection refused");
            }
            // A question that arrives has its effect, whatever becomes of the answer: but no connection comes about
            // one-way.
            if (node.CanAnswer && (network.Arrives(name, self) || world.Chance(0.3)))
            {
                var result = answer(node);
                await Task.Delay(world.Between(0.2, 8), time, cancellationToken);
                if (network.Arrives(name, self))
                {
                    return result;
                }
            }
        }
        await Task.Delay(timeout, time, cancellationToken);
        return silence("no answer in time");
    }
}
