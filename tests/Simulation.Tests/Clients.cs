namespace Routing.Simulation.Tests;

/// <summary>Clients that append to lists and transfer between accounts, and what they saw.</summary>
/// <remarks>
/// Each transaction writes, so that it is acknowledged only when everything that it saw is as safe as its own commit.
/// It runs at the moment at which its record is written: one that would have had to wait for a row of another's comes
/// after that one.
/// </remarks>
internal sealed class Clients(SimCluster cluster)
{
    private readonly Dictionary<Commit, Transaction> _transactions = [];
    private readonly Dictionary<SimServer, Ledger> _ledgers = [];
    private readonly List<(Commit Commit, Transaction Transaction)> _acknowledged = [];
    private long _count;

    /// <summary>Begins a transaction on a server, ready to be committed.</summary>
    public Commit Begin(SimServer server)
    {
        var world = cluster.World;
        var commit = new Commit(++_count);
        var transaction = new Transaction(_count, world.Now);
        switch (world.Random.Next(3))
        {
            case 0:
                Read(world.Random.Next(Ledger.Lists));
                transaction.Appends.Add((world.Random.Next(Ledger.Lists), 0));
                break;
            case 1:
                var from = world.Random.Next(Ledger.Accounts);
                var to = (from + 1 + world.Random.Next(Ledger.Accounts - 1)) % Ledger.Accounts;
                Read(Ledger.Lists + from);
                Read(Ledger.Lists + to);
                var amount = world.Random.Next(1, 100);
                transaction.Appends.Add((Ledger.Lists + from, -amount));
                transaction.Appends.Add((Ledger.Lists + to, amount));
                break;
            default:
                for (var account = 0; account < Ledger.Accounts; account++)
                {
                    Read(Ledger.Lists + account);
                }
                transaction.Appends.Add((world.Random.Next(Ledger.Lists), 0));
                break;
        }
        _transactions[commit] = transaction;
        return commit;

        void Read(int list)
        {
            var source =
                cluster.Options.ReadsStandbys
                    && cluster.Nodes.Find(n => n.Server is { IsPrimary: false, Life: Life.Up }) is { } standby
                ? standby.Server
                : server;
            transaction.Reads.Add((list, StateOf(source)[list]));
        }
    }

    /// <summary>A client was told that its commit is done.</summary>
    public void Acknowledged(Commit commit)
    {
        if (_transactions.GetValueOrDefault(commit) is { } transaction)
        {
            transaction.AcknowledgedAt = cluster.World.Now;
            _acknowledged.Add((commit, transaction));
        }
    }

    /// <summary>
    /// Whether what was seen, and what stands on the last leader, is one serial history; null: it is.
    /// </summary>
    public string? Judge(SimServer leader) =>
        Serialisability.Check([.. _acknowledged.Where(a => IsPromised(a.Commit)).Select(a => a.Transaction)],
            StateOf(leader));

    /// <summary>
    /// In a calm schedule everything is, in others what a synchronous mode protects, unless an operator gave it up.
    /// </summary>
    private bool IsPromised(Commit commit) =>
        cluster.Options.IsCalm || (commit.IsProtected && !cluster.Options.Faults.Contains(Fault.Failover));

    private IReadOnlyList<Entry?> StateOf(SimServer server)
    {
        if (!_ledgers.TryGetValue(server, out var ledger))
        {
            _ledgers[server] = ledger = new Ledger(_transactions);
        }
        return ledger.Read(server);
    }
}
