namespace Routing.Simulation.Tests;

/// <summary>The lists of one server's database: what its write-ahead log says, record by record.</summary>
internal sealed class Ledger(IReadOnlyDictionary<Commit, Transaction> transactions)
{
    /// <summary>Lists that are only appended to.</summary>
    public const int Lists = 3;

    /// <summary>Lists that are accounts; they come after the others.</summary>
    public const int Accounts = 4;

    private Entry?[] _newest = new Entry?[Lists + Accounts];
    private WalRecord? _last;
    private int _applied;

    /// <summary>The newest entry of each list.</summary>
    public IReadOnlyList<Entry?> Read(SimServer server)
    {
        var wal = server.Wal;
        if (wal.Count < _applied || (_applied > 0 && !ReferenceEquals(wal[_applied - 1], _last)))
        {
            // another history was put in the place of this one
            (_newest, _applied) = (new Entry?[Lists + Accounts], 0);
        }
        for (; _applied < wal.Count; _applied++)
        {
            _last = wal[_applied];
            if (_last.Commit is { } commit && transactions.GetValueOrDefault(commit) is { } transaction)
            {
                foreach (var (list, amount) in transaction.Appends)
                {
                    _newest[list] = new Entry(transaction, amount, _newest[list]);
                }
            }
        }
        return _newest;
    }
}
