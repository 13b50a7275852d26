namespace Routing.Agent.Native;

/// <summary>
/// How a process ended. Both are null when it was not our child: then the system tells nobody but its parent.
/// </summary>
/// <param name="Code">The exit code, when it ended by itself.</param>
/// <param name="Signal">The signal that ended it.</param>
internal readonly record struct ProcessExit(int? Code, int? Signal)
{
    public bool IsSuccess => Code == 0;

    public override string ToString() => this switch
    {
        { Code: { } code } => $"exit code {code}",
        { Signal: { } signal } => $"signal {signal}",
        _ => "ended (not a child of this process: the reason is unknown)",
    };
}
