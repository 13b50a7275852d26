namespace Routing.Hosting.Logging;

/// <summary>The lines that wait to be written, as REST shows them.</summary>
internal interface ILogQueue
{
    /// <summary>How many lines wait to be written.</summary>
    int Length { get; }

    /// <summary>How many lines were dropped because too many waited.</summary>
    long LostRecords { get; }
}
