using Routing.Proxy.Tls;

namespace Routing.Proxy.Sessions;

/// <summary>A listener's settings made usable: its certificates are read. Sessions keep the one they began with.</summary>
/// <param name="Settings">What its user wrote.</param>
/// <param name="Counter">Its sessions; lives on over a reload.</param>
/// <param name="ClientTls">Terminates TLS; null unless its mode says so.</param>
/// <param name="MemberTls">Originates TLS; null when off.</param>
internal sealed record ListenerModel(ListenerSettings Settings, SessionCounter Counter, ClientTls? ClientTls, MemberTls? MemberTls)
{
    /// <summary>Its name.</summary>
    public string Name => Settings.Name;

    /// <summary>Reads the certificates.</summary>
    /// <param name="settings">What its user wrote.</param>
    /// <param name="before">The model of the same name that it takes the place of, or null.</param>
    /// <exception cref="IOException">A certificate can't be read.</exception>
    public static ListenerModel Create(ListenerSettings settings, ListenerModel? before) => new(
        settings,
        before?.Counter ?? new SessionCounter(),
        settings.Tls.Mode == ClientTlsMode.Terminate ? new ClientTls(settings.Tls) : null,
        settings.MemberTls.Mode != MemberTlsMode.Off ? new MemberTls(settings.MemberTls) : null);
}
