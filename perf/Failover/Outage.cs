namespace Routing.Failover;

/// <summary>What the writer saw of one event.</summary>
/// <param name="Pause">
/// The longest time between two acknowledged writes, from the event until the cluster is whole again.
/// </param>
/// <param name="Errors">Statements that failed.</param>
/// <param name="Missing">Acknowledged writes that the primary did not have afterwards.</param>
internal sealed record Outage(TimeSpan Pause, int Errors, int Missing);
