namespace Routing.Cli;

/// <summary>
/// The command can't be carried out: one sentence of what is wrong, perhaps one of what to do. Exit code 1.
/// </summary>
/// <param name="message">What is wrong.</param>
/// <param name="hint">What the operator can do about it, or null.</param>
/// <param name="innerException">The cause.</param>
internal sealed class CtlException(string message, string? hint = null, Exception? innerException = null)
    : Exception(message, innerException)
{
    public string? Hint { get; } = hint;
}

/// <summary>The operator pressed Ctrl-C or ended the input at a prompt.</summary>
internal sealed class AbortedException : Exception;
