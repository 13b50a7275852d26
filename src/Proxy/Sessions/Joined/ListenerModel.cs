using Routing.Proxy.Configuration;
using Routing.Proxy.Tls;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// A listener's configuration made usable: its certificates are read. Sessions keep the one they began with.
/// </summary>
/// <param name="Config">What its user wrote.</param>
/// <param name="Counter">Its sessions; lives on over a reload.</param>
/// <param name="ClientTls">Terminates TLS; null unless its mode says so.</param>
/// <param name="MemberTls">Originates TLS; null when off.</param>
internal sealed record ListenerModel(
    ListenerConfig Config, SessionCounter Counter, ClientTls? ClientTls, MemberTls? MemberTls)
{
    /// <summary>Its name.</summary>
    public string Name => Config.Name;

    /// <summary>Reads the certificates.</summary>
    /// <param name="config">What its user wrote.</param>
    /// <param name="before">The model of the same name that it takes the place of, or null.</param>
    /// <exception cref="IOException">A certificate can't be read.</exception>
    public static ListenerModel Create(ListenerConfig config, ListenerModel? before) => new(
        config,
        before?.Counter ?? new SessionCounter(),
        config.Tls.Mode == ClientTlsMode.Terminate ? new ClientTls(config.Tls) : null,
        config.MemberTls.Mode != MemberTlsMode.Off ? new MemberTls(config.MemberTls) : null);
}
