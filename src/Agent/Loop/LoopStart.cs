using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>What the loop begins with.</summary>
/// <param name="Members">The members that an earlier life of this agent has seen.</param>
/// <param name="NameIsOurs">
/// Whether it is known that no other agent has this member's name. Until then the loop looks after its own PostgreSQL
/// alone, as if the DCS had not answered yet.
/// </param>
internal sealed record LoopStart(KnownMembers Members, Func<bool> NameIsOurs);
