using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Status;

/// <summary>The other members, asked through their REST. All questions go out in parallel.</summary>
internal interface IPeers
{
    /// <summary>
    /// Asks each member for its status. One report per member, in the order asked; none is left out.
    /// </summary>
    /// <param name="members">Whom to ask.</param>
    /// <param name="timeout">The longest that any of them may take; a refused connection is known at once.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<ImmutableArray<PeerReport>> ProbeAsync(
        IReadOnlyList<Member> members, TimeSpan timeout, CancellationToken cancellationToken);

    /// <summary>Asks each member for its consent that this one stays the leader without the DCS.</summary>
    /// <param name="members">Name to api_url, as in the failsafe key, without this member.</param>
    /// <param name="message">Who we are.</param>
    /// <param name="timeout">The longest that any of them may take.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<ImmutableArray<FailsafeReply>> PostFailsafeAsync(
        IReadOnlyList<KeyValuePair<string, string>> members, FailsafeMessage message, TimeSpan timeout,
        CancellationToken cancellationToken);

    /// <summary>Whether an agent answers at this member's REST: another one with our name may run.</summary>
    /// <returns>True for any HTTP answer; false when the connection is refused or nothing comes in time.</returns>
    Task<bool> LivenessAsync(string apiUrl, TimeSpan timeout, CancellationToken cancellationToken);
}

/// <summary>How one member answered <c>POST /failsafe</c>.</summary>
/// <param name="Name">The member.</param>
/// <param name="Accepted">The member answered 200 and <c>Accepted</c>.</param>
/// <param name="Position">The WAL position it told.</param>
/// <param name="Detail">What it said, or why it could not be asked.</param>
/// <param name="Refused">
/// The member answered, and did not accept. A member that could not be asked has not refused.
/// </param>
internal sealed record FailsafeReply(string Name, bool Accepted, Lsn? Position, string Detail, bool Refused = false);
