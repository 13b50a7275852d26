namespace Routing.Agent.Loop;

/// <summary>Until when this member may act as leader, and when its guards must stop PostgreSQL.</summary>
/// <param name="Until">A timestamp of the agent's <see cref="TimeProvider"/>: the leader key may end then.</param>
/// <param name="Deadline">
/// The timestamp at which whatever guards a primary acts: ahead of <paramref name="Until"/> by half the safety margin.
/// </param>
/// <param name="Ttl">
/// Life of the lease that the key hangs on, without a renewal; for a while after a change not the ttl in force.
/// </param>
/// <param name="LoopWait">The <c>loop_wait</c> that was in force with that ttl.</param>
internal readonly record struct Conviction(long Until, long Deadline, TimeSpan Ttl, TimeSpan LoopWait);
