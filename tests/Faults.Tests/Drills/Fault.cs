namespace Routing.Faults.Tests.Drills;

/// <summary>What becomes of the leader by a fault.</summary>
internal enum Leadership
{
    /// <summary>Another member leads before the fault ends.</summary>
    Moves,

    /// <summary>The same member leads when all is whole again.</summary>
    Stays,

    /// <summary>Both are right.</summary>
    Either,
}

/// <summary>One way to harm a cluster.</summary>
/// <param name="Name">In words, for the report.</param>
/// <param name="Leadership">What is expected of the leader.</param>
/// <param name="StrikeAsync">
/// Does the harm, and waits for what it has to bring about. How each harm is healed is left with the stage at once
/// (<see cref="Stage.HealAsync"/>): it is healed whatever comes of the wait.
/// </param>
internal sealed record Fault(string Name, Leadership Leadership, Func<Stage, Task> StrikeAsync)
{
    /// <summary>Whether <c>failsafe_mode</c> is on.</summary>
    public bool Failsafe { get; init; }

    /// <summary>Whether it needs a network with disks of its own.</summary>
    public bool NeedsDisks { get; init; }

    /// <summary>Whether it belongs to the choice of every run, in quorum mode.</summary>
    public bool IsChosen { get; init; }

    public override string ToString() => Name;
}
