namespace Routing.Cluster;

/// <summary>The versions that this program publishes.</summary>
public static class RoutingVersion
{
    /// <summary>
    /// The version of Patroni whose keys and REST this program implements; published in <c>members/NAME.version</c>.
    /// </summary>
    public const string Compatible = "4.1.4";

    /// <summary>The version of this program.</summary>
    public static string Own { get; } =
        typeof(RoutingVersion).Assembly.GetName().Version is { } version ? version.ToString(3) : "0.0.0";
}
