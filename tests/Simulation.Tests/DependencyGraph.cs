namespace Routing.Simulation.Tests;

/// <summary>Which transaction has to come before which.</summary>
internal sealed class DependencyGraph
{
    private readonly Dictionary<Transaction, int> _numbers = [];
    private readonly List<Transaction?> _nodes = [];
    private readonly List<List<int>> _after = [];

    /// <summary>One has to come before the other.</summary>
    public void Add(Transaction before, Transaction after)
    {
        if (before != after)
        {
            _after[NumberOf(before)].Add(NumberOf(after));
        }
    }

    /// <summary>
    /// What was acknowledged before another began comes before it. Not pair by pair: moments in a row stand between
    /// them, and each acknowledgement is one.
    /// </summary>
    public void AddRealTime(IReadOnlyList<Transaction> acknowledged)
    {
        var ends = acknowledged.OrderBy(t => t.AcknowledgedAt).ToList();
        var moments = new int[ends.Count];
        for (var i = 0; i < ends.Count; i++)
        {
            moments[i] = AddNode(null);
            _after[NumberOf(ends[i])].Add(moments[i]);
            if (i > 0)
            {
                _after[moments[i - 1]].Add(moments[i]);
            }
        }
        var passed = 0;
        foreach (var transaction in acknowledged.OrderBy(t => t.InvokedAt))
        {
            while (passed < ends.Count && ends[passed].AcknowledgedAt < transaction.InvokedAt)
            {
                passed++;
            }
            if (passed > 0)
            {
                _after[moments[passed - 1]].Add(NumberOf(transaction));
            }
        }
    }

    /// <summary>Transactions that have to come before each other; null: there are none.</summary>
    public IReadOnlyList<Transaction>? FindCycle()
    {
        var (index, low) = (new int[_nodes.Count], new int[_nodes.Count]);
        var onStack = new bool[_nodes.Count];
        var stack = new Stack<int>();
        var calls = new Stack<(int Node, int Next)>();
        var count = 0;
        for (var root = 0; root < _nodes.Count; root++)
        {
            if (index[root] == 0)
            {
                Enter(root);
            }
            while (calls.TryPop(out var call))
            {
                var (node, next) = call;
                if (next < _after[node].Count)
                {
                    calls.Push((node, next + 1));
                    var other = _after[node][next];
                    if (index[other] == 0)
                    {
                        Enter(other);
                    }
                    else if (onStack[other])
                    {
                        low[node] = Math.Min(low[node], index[other]);
                    }
                    continue;
                }
                if (calls.TryPeek(out var caller))
                {
                    low[caller.Node] = Math.Min(low[caller.Node], low[node]);
                }
                if (low[node] == index[node] && Leave(node) is { Count: > 1 } component)
                {
                    return component;
                }
            }
        }
        return null;

        void Enter(int node)
        {
            index[node] = low[node] = ++count;
            stack.Push(node);
            onStack[node] = true;
            calls.Push((node, 0));
        }

        List<Transaction> Leave(int node)
        {
            var component = new List<Transaction>();
            int member;
            do
            {
                member = stack.Pop();
                onStack[member] = false;
                if (_nodes[member] is { } transaction)
                {
                    component.Add(transaction);
                }
            }
            while (member != node);
            return component;
        }
    }

    private int NumberOf(Transaction transaction)
    {
        if (!_numbers.TryGetValue(transaction, out var number))
        {
            _numbers[transaction] = number = AddNode(transaction);
        }
        return number;
    }

    private int AddNode(Transaction? transaction)
    {
        _nodes.Add(transaction);
        _after.Add([]);
        return _nodes.Count - 1;
    }
}
