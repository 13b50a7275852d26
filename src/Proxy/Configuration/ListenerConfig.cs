using Routing.Proxy.Routes;
using Routing.Proxy.Sessions;

namespace Routing.Proxy.Configuration;

/// <summary>One listener as its user wrote it.</summary>
/// <param name="Address">Where it listens: <c>host:port</c>, or <c>unix:/path</c>.</param>
/// <param name="Settings">How its sessions are treated.</param>
/// <param name="Route">Where they go.</param>
internal sealed record ListenerConfig(ListenAddress Address, ListenerSettings Settings, ListenerRoute Route)
{
    /// <summary>Its name.</summary>
    public string Name => Settings.Name;
}
