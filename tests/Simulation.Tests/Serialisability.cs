namespace Routing.Simulation.Tests;

/// <summary>
/// Whether the transactions that clients saw are those of one serial history, in the order of real time.
/// </summary>
/// <remarks>
/// The method is that of Elle (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
/// Observations", 2020): a list that is only appended to shows in which order its entries were written. From this order
/// follow the dependencies of Adya: which transaction wrote after which, read from which, and was overwritten by which.
/// Together with the order of real time they must not form a cycle. Cycles are found as strongly connected components
/// (Tarjan).
/// </remarks>
internal static class Serialisability
{
    /// <param name="acknowledged">The transactions that clients know to be done.</param>
    /// <param name="final">The newest entry of each list at the end.</param>
    /// <returns>What is wrong; null: nothing.</returns>
    public static string? Check(IReadOnlyList<Transaction> acknowledged, IReadOnlyList<Entry?> final)
    {
        var orders = new List<Transaction[]>();
        var positions = new List<Dictionary<Transaction, int>>();
        foreach (var newest in final)
        {
            var order = new Transaction[newest?.Length ?? 0];
            for (var entry = newest; entry is not null; entry = entry.Before)
            {
                order[entry.Length - 1] = entry.Writer;
            }
            orders.Add(order);
            positions.Add(order.Select((writer, index) => (writer, index)).ToDictionary(p => p.writer, p => p.index));
        }
        return Lost(acknowledged, positions) ?? Impossible(acknowledged, orders) ?? Cycle(acknowledged, orders);
    }

    private static string? Lost(IReadOnlyList<Transaction> acknowledged, List<Dictionary<Transaction, int>> positions)
    {
        foreach (var transaction in acknowledged)
        {
            foreach (var (list, _) in transaction.Appends)
            {
                if (!positions[list].ContainsKey(transaction))
                {
                    return $"the acknowledged append of {transaction} to list {list} is lost";
                }
            }
        }
        return null;
    }

    /// <summary>Reads that are no beginning of the list's order, and accounts whose sum has changed.</summary>
    private static string? Impossible(IReadOnlyList<Transaction> acknowledged, List<Transaction[]> orders)
    {
        var good = new HashSet<Entry>();
        foreach (var transaction in acknowledged)
        {
            foreach (var (list, newest) in transaction.Reads)
            {
                for (var entry = newest; entry is not null && good.Add(entry); entry = entry.Before)
                {
                    if (entry.Length > orders[list].Length || orders[list][entry.Length - 1] != entry.Writer)
                    {
                        return $"{transaction} read {entry.Writer} at place {entry.Length} of list {list}, where it "
                            + "does not stand";
                    }
                }
            }
            var accounts = transaction.Reads.Where(read => read.List >= Ledger.Lists).ToList();
            if (accounts.Count == Ledger.Accounts && accounts.Sum(read => read.Newest?.Sum ?? 0) is not 0 and var sum)
            {
                return $"{transaction} found {sum} too much in all accounts together";
            }
        }
        return null;
    }

    private static string? Cycle(IReadOnlyList<Transaction> acknowledged, List<Transaction[]> orders)
    {
        var graph = new DependencyGraph();
        for (var list = 0; list < orders.Count; list++)
        {
            for (var place = 1; place < orders[list].Length; place++)
            {
                graph.Add(orders[list][place - 1], orders[list][place]);
            }
        }
        foreach (var transaction in acknowledged)
        {
            foreach (var (list, newest) in transaction.Reads)
            {
                var length = newest?.Length ?? 0;
                if (length > 0)
                {
                    graph.Add(newest!.Writer, transaction);
                }
                if (length < orders[list].Length)
                {
                    graph.Add(transaction, orders[list][length]);
                }
            }
        }
        graph.AddRealTime(acknowledged);
        return graph.FindCycle() is { } cycle
            ? $"the history is not serialisable: {string.Join(", ", cycle)} each come before another of them"
            : null;
    }
}
