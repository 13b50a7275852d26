namespace Routing.Agent.Native;

/// <summary>
/// A program to start in a session of its own: no signal meant for the agent or its terminal reaches it.
/// </summary>
/// <param name="Program">A path, or a name to look for in PATH.</param>
/// <param name="Arguments">Its arguments, without the program's name.</param>
internal sealed record SpawnRequest(string Program, IReadOnlyList<string> Arguments)
{
    /// <summary>Variables on top of our own environment; a null value removes one.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>A file that standard output and standard error are appended to; null for /dev/null.</summary>
    public string? LogFile { get; init; }

    /// <summary>
    /// Signals that the program starts with blocked; none by default, whatever the agent itself blocks.
    /// </summary>
    public IReadOnlyList<int> BlockedSignals { get; init; } = [];
}
