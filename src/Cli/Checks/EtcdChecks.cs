using Routing.Dcs;
using Routing.Dcs.Etcd;

namespace Routing.Cli.Checks;

/// <summary>What the etcd servers tell of themselves, and what is known of their versions.</summary>
internal static class EtcdChecks
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(5);

    /// <summary>Faults of versions: from, up to and without, and what is wrong there.</summary>
    private static readonly (Version From, Version Before, Severity Severity, string Fault)[] s_faults =
    [
        (new(0, 0), new(3, 4), Severity.Warning, "is not maintained any more"),
        (new(3, 4), new(3, 4, 22), Severity.Warning, "has faults that 3.4.22 has not"),
        (new(3, 5), new(3, 5, 3), Severity.Error, "may lose data when it is killed under load: mended in 3.5.3"),
        (new(3, 5, 3), new(3, 5, 6), Severity.Warning,
            "may differ from the other servers after a crash during defragmentation: mended in 3.5.6"),
    ];

    /// <summary>Asks every server at the same time.</summary>
    public static async Task<IEnumerable<Finding>> RunAsync(
        EtcdOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        using var probe = new EtcdProbe(options, time);
        var reports = await Task.WhenAll(
            options.Endpoints.Select(endpoint => probe.AskAsync(endpoint, s_timeout, cancellationToken)));
        return reports.SelectMany(Of);
    }

    /// <summary>The findings about one server. Pure.</summary>
    public static IEnumerable<Finding> Of(EtcdReport report)
    {
        var subject = $"etcd {report.Endpoint.Authority}";
        if (report.Problem is { } problem)
        {
            yield return Finding.Error(subject, $"gives no answer: {problem}");
            yield break;
        }
        if (!report.IsHealthy)
        {
            yield return Finding.Error(subject, "says that it is not healthy");
        }
        // A version of our own making has something behind a dash.
        if (!Version.TryParse(report.Version?.Split('-', '+')[0], out var version))
        {
            yield return Finding.Warning(subject, "does not say its version");
            yield break;
        }
        foreach (var (from, before, severity, fault) in s_faults)
        {
            if (version >= from && version < before)
            {
                yield return new Finding(severity, subject, $"is version {report.Version}, which {fault}");
            }
        }
    }
}
