using System.Collections.Immutable;
using System.Net;
using Routing.Cluster;

namespace Routing.Proxy.Members;

/// <summary>The member that was chosen for a session.</summary>
/// <param name="Member">The member's name: also its label in metrics.</param>
/// <param name="Addresses">All addresses of its name, in the order in which they are tried; at least one.</param>
/// <param name="HostName">Its name as published, for verifying its certificate.</param>
/// <param name="Term">The term of the leader at the time of the choice.</param>
/// <param name="MustBePrimary">
/// A login that reports <c>in_hot_standby = on</c> is to be refused and tried again.
/// </param>
internal sealed record RouteTarget(
    string Member, ImmutableArray<EndPoint> Addresses, string HostName, Term Term, bool MustBePrimary);
