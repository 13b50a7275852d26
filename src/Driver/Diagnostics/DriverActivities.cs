using System.Diagnostics;

namespace Routing.Driver.Diagnostics;

/// <summary>
/// What the driver traces: opens that wait or try again, and units of work. Opens from the pool are not worth a span.
/// </summary>
internal static class DriverActivities
{
    private static readonly ActivitySource s_source = new(RoutingDataSource.ActivitySourceName);

    public static Activity? Open(string cluster, string target) =>
        Start("routing.open", cluster)?.SetTag("routing.target", target);

    public static Activity? Unit(string cluster) => Start("routing.unit_of_work", cluster);

    private static Activity? Start(string name, string cluster) =>
        s_source.StartActivity(name, ActivityKind.Client)?.SetTag("routing.cluster", cluster);
}
