namespace Routing.Cluster;

/// <summary>Who we say we are.</summary>
public static class RoutingVersion
{
    /// <summary>The version of the reference whose keys and REST we speak; published in <c>members/NAME.version</c>.</summary>
    public const string Compatible = "4.1.4";

    /// <summary>Our own version.</summary>
    public static string Own { get; } =
        typeof(RoutingVersion).Assembly.GetName().Version is { } version ? version.ToString(3) : "0.0.0";
}
