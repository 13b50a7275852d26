using System.Text.Json;
using Routing.Cluster;

namespace Routing.Agent.Loop;

/// <summary>
/// This member's name, addresses and tags, by its local configuration. A reload replaces the whole record.
/// </summary>
/// <param name="Scope">The cluster's name.</param>
/// <param name="Name">Its own name.</param>
/// <param name="ConnUrl">Published: where its PostgreSQL is.</param>
/// <param name="ApiUrl">Published: where its REST is.</param>
/// <param name="ProxyUrl">Published when there is a pooler.</param>
/// <param name="Tags">Published tags.</param>
/// <param name="MayBootstrap">It has a bootstrap section.</param>
/// <param name="CanCloneWithoutLeader">
/// Whether a create-replica method needs no source, with the dynamic configuration that is in force.
/// </param>
/// <param name="InitialConfig">The dynamic configuration to write where there is none.</param>
internal sealed record LocalMember(
    string Scope, string Name, string ConnUrl, string ApiUrl, string? ProxyUrl, MemberTags Tags,
    bool MayBootstrap, Func<DynamicConfig, bool> CanCloneWithoutLeader, JsonElement InitialConfig)
{
    /// <summary>Published: the site that it stands in; null: none is configured.</summary>
    public string? Site { get; init; }

    /// <summary>Whether a repository of backups is configured, from which the member can restore its data.</summary>
    public bool CanRestore { get; init; }
}
