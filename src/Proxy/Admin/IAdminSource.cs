namespace Routing.Proxy.Admin;

/// <summary>What the admin port shows. Thread-safe; never waits for a member or for etcd.</summary>
internal interface IAdminSource
{
    /// <summary>Whether new sessions find a server on every listener, or why not.</summary>
    (bool IsReady, string Sentence) Readiness { get; }

    /// <summary>The instruments in the text form of Prometheus.</summary>
    Task WriteMetricsAsync(Stream stream, CancellationToken cancellationToken);

    /// <summary>
    /// The routes as JSON: what would be chosen for each listener, and why each member does or does not serve.
    /// </summary>
    void WriteRoutes(Stream stream);
}
