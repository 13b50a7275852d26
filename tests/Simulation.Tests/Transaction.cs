namespace Routing.Simulation.Tests;

/// <summary>One transaction of a client: it reads some lists whole, and appends an entry of its own to some.</summary>
/// <remarks>An account is a list of amounts: a transfer appends to two of them, and their sum is the balance.</remarks>
/// <param name="id">For messages.</param>
/// <param name="invokedAt">True time at which the client began it.</param>
internal sealed class Transaction(long id, long invokedAt)
{
    public long Id => id;

    public long InvokedAt => invokedAt;

    /// <summary>
    /// When the client was told that it is done; null: it never was, and it may have happened or not.
    /// </summary>
    public long? AcknowledgedAt { get; set; }

    /// <summary>What it saw: the newest entry of each list that it read; null: an empty list.</summary>
    public List<(int List, Entry? Newest)> Reads { get; } = [];

    /// <summary>The lists that it appends to.</summary>
    public List<(int List, int Amount)> Appends { get; } = [];

    public override string ToString() => $"T{id}";
}

/// <summary>One entry of a list, with all that stand before it.</summary>
/// <param name="writer">The transaction that appended it.</param>
/// <param name="amount">Of an account.</param>
/// <param name="before">The entry before it; null: it is the first.</param>
internal sealed class Entry(Transaction writer, int amount, Entry? before)
{
    public Transaction Writer => writer;

    public Entry? Before => before;

    public int Length { get; } = (before?.Length ?? 0) + 1;

    /// <summary>Of all amounts up to here.</summary>
    public int Sum { get; } = (before?.Sum ?? 0) + amount;
}
