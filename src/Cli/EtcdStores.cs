using Microsoft.Extensions.Logging;
using Routing.Dcs;

namespace Routing.Cli;

/// <summary>Opens clusters in etcd.</summary>
internal static class EtcdStores
{
    public static IClusterStore Open(EtcdOptions options, string basePath, TimeProvider time, ILogger logger) =>
        throw new NotImplementedException();
}
