namespace Routing.Agent.Native;

/// <summary>
/// The signals that we send, by their numbers on Linux, and what PostgreSQL's postmaster does on them.
/// </summary>
internal static class Signals
{
    /// <summary>Reload the configuration.</summary>
    public const int Hangup = 1;

    /// <summary>Fast shutdown: sessions are ended, a checkpoint is written.</summary>
    public const int Interrupt = 2;

    /// <summary>Immediate shutdown: recovery follows at the next start.</summary>
    public const int Quit = 3;

    public const int Kill = 9;

    public const int User1 = 10;

    /// <summary>Smart shutdown: waits for the sessions to end by themselves.</summary>
    public const int Terminate = 15;

    public const int Continue = 18;

    public const int Stop = 19;
}
