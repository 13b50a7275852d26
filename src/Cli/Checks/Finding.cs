namespace Routing.Cli.Checks;

/// <summary>How much something matters.</summary>
internal enum Severity
{
    /// <summary>Worth knowing; nothing has to be done.</summary>
    Note,

    /// <summary>Something is wrong, and the cluster still works.</summary>
    Warning,

    /// <summary>Something does not work, or is not safe.</summary>
    Error,
}

/// <summary>One problem that a check has found.</summary>
/// <param name="Severity">How much it matters.</param>
/// <param name="Subject">The cluster, a member, or an etcd server.</param>
/// <param name="Text">What is so, as the rest of a sentence that begins with the subject.</param>
internal sealed record Finding(Severity Severity, string Subject, string Text)
{
    public static Finding Error(string subject, string text) => new(Severity.Error, subject, text);

    public static Finding Note(string subject, string text) => new(Severity.Note, subject, text);

    public static Finding Warning(string subject, string text) => new(Severity.Warning, subject, text);
}

/// <summary>From where on something is worth a line.</summary>
/// <param name="LagBytes">WAL that a standby lacks.</param>
/// <param name="SlotBytes">WAL that a slot keeps.</param>
internal sealed record CheckLimits(long LagBytes, long SlotBytes);
