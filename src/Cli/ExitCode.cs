namespace Routing.Cli;

internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>The command could not be carried out, or the operator declined.</summary>
    public const int Failure = 1;

    /// <summary>The command line is wrong.</summary>
    public const int Usage = 2;
}
