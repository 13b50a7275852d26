using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster;

/// <summary>A member's tags: what the member may become, and the operator's own labels.</summary>
/// <param name="Values">The tags as published; values are JSON scalars, or whatever the operator wrote.</param>
public sealed record MemberTags(ImmutableSortedDictionary<string, JsonElement> Values)
{
    /// <summary>No tags.</summary>
    public static readonly MemberTags Empty =
        new(ImmutableSortedDictionary<string, JsonElement>.Empty.WithComparers(StringComparer.Ordinal));

    /// <summary>Never leads: <c>nofailover</c> when it is set, else a <c>failover_priority</c> of 0 or less.</summary>
    public bool NoFailover => Flag("nofailover") ?? FailoverPriority <= 0;

    /// <summary>
    /// Larger wins at equal WAL; 0 = never leads; 1 when it is not set. <c>nofailover</c> has precedence.
    /// </summary>
    public int FailoverPriority => Priority("nofailover", "failover_priority");

    /// <summary>Never synchronous: <c>nosync</c> when it is set, else a <c>sync_priority</c> of 0 or less.</summary>
    public bool NoSync => Flag("nosync") ?? SyncPriority <= 0;

    /// <summary>Larger is preferred as a synchronous standby; 0 = never.</summary>
    public int SyncPriority => Priority("nosync", "sync_priority");

    /// <summary>Not a target for readers.</summary>
    public bool NoLoadBalance => Flag("noloadbalance") ?? false;

    /// <summary>Preferred as the source of a clone.</summary>
    public bool CloneFrom => Flag("clonefrom") ?? false;

    /// <summary>Replays from the archive only; has no slot.</summary>
    public bool NoStream => Flag("nostream") ?? false;

    /// <summary>The member to stream from, instead of the leader.</summary>
    public string? ReplicateFrom =>
        Values.TryGetValue("replicatefrom", out var value) && value.ValueKind == JsonValueKind.String
            && value.GetString() is { Length: > 0 } name
            ? name
            : null;

    /// <summary>Tags that contradict each other, one sentence each: the flag holds.</summary>
    public ImmutableArray<string> Conflicts =>
    [
        .. Conflict("nofailover", "failover_priority", "leads", "may lead"),
        .. Conflict("nosync", "sync_priority", "is synchronous", "may be synchronous"),
    ];

    private IEnumerable<string> Conflict(string flag, string number, string never, string may)
    {
        if (Flag(flag) is { } isOn && Values.TryGetValue(number, out var value)
            && Scalars.TryInteger(value, out var priority) && isOn == priority > 0)
        {
            var word = isOn ? "true" : "false";
            yield return $"Conflicting configuration between {flag}: {word} and {number}: {priority}: {flag} holds, so "
                + (isOn ? $"this member never {never}" : $"this member {may}");
        }
    }

    private int Priority(string flag, string number)
    {
        if (Flag(flag) == true)
        {
            return 0;
        }
        return Values.TryGetValue(number, out var value) && Scalars.TryInteger(value, out var priority)
            ? (int)Math.Clamp(priority, 0, int.MaxValue)
            : 1;
    }

    private bool? Flag(string name) =>
        Values.TryGetValue(name, out var value) && Scalars.TryBoolean(value, out var flag) ? flag : null;
}
