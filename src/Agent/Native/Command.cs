namespace Routing.Agent.Native;

/// <summary>A program to run to its end, such as pg_controldata, initdb, pg_basebackup or a user's script.</summary>
/// <param name="Program">A path, or a name to look for in PATH.</param>
/// <param name="Arguments">Its arguments, without the program's name.</param>
internal sealed record Command(string Program, IReadOnlyList<string> Arguments)
{
    public Command(string program, params ReadOnlySpan<string> arguments)
        : this(program, (IReadOnlyList<string>)arguments.ToArray())
    {
    }

    /// <summary>Variables on top of our own environment; a null value removes one.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>When to end it; null for never.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>How long it may take to clean up after SIGTERM before SIGKILL. Default 3 s.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(3);

    public override string ToString() => string.Join(' ', [Program, .. Arguments]);
}

/// <summary>One line that a command printed.</summary>
/// <param name="Text">The line without its end.</param>
/// <param name="IsError">Whether it came on standard error.</param>
internal readonly record struct CommandLine(string Text, bool IsError);

/// <summary>How a command ended.</summary>
/// <param name="Exit">Its exit code or signal.</param>
/// <param name="TimedOut">True when it was ended by us because it took longer than its timeout.</param>
internal readonly record struct CommandResult(ProcessExit Exit, bool TimedOut)
{
    public bool IsSuccess => Exit.IsSuccess && !TimedOut;

    public override string ToString() => TimedOut ? $"timed out ({Exit})" : Exit.ToString();
}

/// <summary>How a command ended, with what it printed.</summary>
/// <param name="Result">How it ended.</param>
/// <param name="Output">Its standard output, lines joined by "\n".</param>
/// <param name="Error">Its standard error, lines joined by "\n".</param>
internal readonly record struct CapturedResult(CommandResult Result, string Output, string Error)
{
    public bool IsSuccess => Result.IsSuccess;
}
