namespace Routing.Proxy.Wire;

/// <summary>What is wrong with a start-up message.</summary>
/// <param name="Code">The SQLSTATE that PostgreSQL gives it.</param>
/// <param name="Sentence">One sentence for the client.</param>
internal sealed record StartupFault(string Code, string Sentence);
