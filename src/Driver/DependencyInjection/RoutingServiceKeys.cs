namespace Routing.Driver;

/// <summary>
/// The keys under which <c>AddRoutingDataSource</c> registers data sources, as
/// <see cref="System.Data.Common.DbDataSource"/> and by their own type.
/// </summary>
public static class RoutingServiceKeys
{
    /// <summary>Connections to the leader.</summary>
    public const string Write = "write";

    /// <summary>Connections to replicas, by the settings for reads; to the leader when there is none.</summary>
    public const string Read = "read";

    /// <summary>Reads that see one's own writes; one for each scope (<see cref="CausalDataSource"/>).</summary>
    public const string Causal = "causal";

    /// <summary>
    /// The key of a data source that was registered with a name of its own: <c>name:write</c> and so on.
    /// </summary>
    public static string Of(string name, string key) => $"{name}:{key}";
}
