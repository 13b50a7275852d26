using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>The checker of histories, on histories that are known to be good or bad.</summary>
public sealed class SerialisabilityTests
{
    private readonly List<Transaction> _acknowledged = [];
    private readonly Entry?[] _lists = new Entry?[Ledger.Lists + Ledger.Accounts];

    [Fact]
    public void One_after_the_other_is_serialisable()
    {
        Append(1, list: 0, from: 0, to: 1);
        var reader = Begin(2, from: 2, to: 5);
        reader.Reads.Add((0, _lists[0]));
        Append(3, list: 0, from: 6, to: 7);

        Assert.Null(Check());
    }

    [Fact]
    public void An_acknowledged_append_that_does_not_stand_there_is_lost()
    {
        Append(1, list: 0, from: 0, to: 1);
        Begin(2, from: 2, to: 3).Appends.Add((0, 0));

        Assert.Contains("T2 to list 0 is lost", Check(), StringComparison.Ordinal);
    }

    [Fact]
    public void Reads_of_two_histories_do_not_fit_together()
    {
        var reader = Begin(1, from: 0, to: 9);
        reader.Reads.Add((0, new Entry(new Transaction(7, 0), 0, null)));
        Append(2, list: 0, from: 1, to: 2);

        Assert.Contains("T1 read T7", Check(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_stale_read_is_no_serial_history()
    {
        Append(1, list: 0, from: 0, to: 1);
        Begin(2, from: 2, to: 3).Reads.Add((0, null));

        Assert.Contains("not serialisable", Check(), StringComparison.Ordinal);
    }

    [Fact]
    public void Two_that_did_not_see_each_other_are_no_serial_history()
    {
        // Write skew: each read what the other wrote, before it did.
        var (left, right) = (Begin(1, from: 0, to: 9), Begin(2, from: 0, to: 9));
        left.Reads.Add((0, null));
        right.Reads.Add((1, null));
        Write(left, 1);
        Write(right, 0);

        Assert.Contains("not serialisable", Check(), StringComparison.Ordinal);
    }

    [Fact]
    public void Appends_against_the_order_of_time_are_no_serial_history()
    {
        var first = Begin(1, from: 0, to: 1);
        Append(2, list: 0, from: 2, to: 3);
        Write(first, 0);

        Assert.Contains("not serialisable", Check(), StringComparison.Ordinal);
    }

    [Fact]
    public void Money_that_comes_from_nowhere_is_found()
    {
        var half = Begin(1, from: 0, to: 1);
        half.Appends.Add((Ledger.Lists, 5));
        _lists[Ledger.Lists] = new Entry(half, 5, null);
        var audit = Begin(2, from: 2, to: 3);
        for (var account = 0; account < Ledger.Accounts; account++)
        {
            audit.Reads.Add((Ledger.Lists + account, _lists[Ledger.Lists + account]));
        }

        Assert.Contains("5 too much", Check(), StringComparison.Ordinal);
    }

    private Transaction Begin(long id, long from, long to)
    {
        var transaction = new Transaction(id, from) { AcknowledgedAt = to };
        _acknowledged.Add(transaction);
        return transaction;
    }

    private void Append(long id, int list, long from, long to) => Write(Begin(id, from, to), list);

    private void Write(Transaction transaction, int list)
    {
        transaction.Appends.Add((list, 0));
        _lists[list] = new Entry(transaction, 0, _lists[list]);
    }

    private string? Check() => Serialisability.Check(_acknowledged, _lists);
}
