using System.Collections.Immutable;

namespace Routing.Ha;

/// <summary>
/// The clients of a primary that are in a transaction; replication and the agent's own sessions aside.
/// </summary>
/// <param name="AskedAt">When (see <see cref="Observation.Now"/>).</param>
/// <param name="Transactions">How many; null: the server did not tell.</param>
/// <param name="Oldest">Some of them in words, the oldest first, such as <c>session 4711 of app (psql)</c>.</param>
public sealed record ClientActivity(TimeSpan AskedAt, int? Transactions, ImmutableArray<string> Oldest);
