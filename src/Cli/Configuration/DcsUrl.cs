using System.Globalization;
using Routing.Cluster;

namespace Routing.Cli.Configuration;

/// <summary>The value of <c>--dcs-url</c>: <c>[scheme://][host][:port][/namespace]</c>.</summary>
/// <param name="Endpoint">etcd's address; <c>localhost:2379</c> where nothing is said.</param>
/// <param name="Namespace">The namespace, or null.</param>
internal sealed record DcsUrl(Uri Endpoint, string? Namespace)
{
    private const int EtcdPort = 2379;

    private static readonly Dictionary<int, string> s_otherPorts =
        new() { [2181] = "zookeeper", [8181] = "exhibitor", [8500] = "consul" };

    /// <summary>Reads the text.</summary>
    /// <exception cref="CtlException">It is none, or names a store that we do not speak to.</exception>
    public static DcsUrl Parse(string text)
    {
        var parts = text.Split("://", 2);
        var scheme = parts.Length == 2 ? parts[0].ToLowerInvariant() : null;
        var rest = parts[^1].TrimStart('/').Split('/', 2);
        var host = rest[0].Length == 0 ? "localhost" : rest[0].StartsWith(':') ? $"localhost{rest[0]}" : rest[0];
        if (!HostPort.TryParse(host, EtcdPort, out var address))
        {
            throw new CtlException($"'{text}' is no address of a DCS.",
                "Write [etcd3://]HOST[:PORT][/NAMESPACE], for example 10.0.0.1:2379/service.");
        }
        var kind = scheme ?? s_otherPorts.GetValueOrDefault(address.Port, "etcd3");
        if (kind is not ("etcd" or "etcd3" or "http" or "https"))
        {
            throw new CtlException($"routingctl can't use {kind} as DCS.",
                "Write etcd3://HOST:PORT; etcd with its v3 interface is the DCS that it speaks to.");
        }
        var endpoint = new Uri(
            string.Create(CultureInfo.InvariantCulture, $"{(kind == "https" ? "https" : "http")}://{address}"));
        var path = rest.Length == 2 ? rest[1].Trim().Trim('/') : "";
        return new DcsUrl(endpoint, path.Length == 0 ? null : $"/{path}");
    }
}
