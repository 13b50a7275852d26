namespace Routing.Ha.Health;

/// <summary>What can be wrong with a server whose process runs. The order is that of urgency.</summary>
public enum HealthProblem
{
    /// <summary>Nothing that the probes see.</summary>
    None,

    /// <summary>The server refuses connections because all are in use. Open sessions go on.</summary>
    NoConnections,

    /// <summary>The process is there, and it has answered nothing for a while.</summary>
    Hangs,

    /// <summary>A write to its disk hangs.</summary>
    DiskHangs,

    /// <summary>The disk has no space left, or nearly none.</summary>
    DiskFull,

    /// <summary>The disk takes no writes: it is mounted read-only, or broken.</summary>
    DiskReadOnly,
}

/// <summary>What the last probe of the disk showed.</summary>
/// <param name="Problem"><see cref="HealthProblem.None"/>, or one of the problems of a disk.</param>
/// <param name="Detail">Which directory, and what the kernel said; empty when there is no problem.</param>
public readonly record struct DiskHealth(HealthProblem Problem, string Detail)
{
    /// <summary>Nothing is wrong, or nothing is known.</summary>
    public static readonly DiskHealth Good = new(HealthProblem.None, "");
}
