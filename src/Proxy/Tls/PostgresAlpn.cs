using System.Net.Security;

namespace Routing.Proxy.Tls;

/// <summary>The application protocol that PostgreSQL registered for TLS.</summary>
internal static class PostgresAlpn
{
    /// <summary><c>postgresql</c>.</summary>
    public static readonly SslApplicationProtocol Protocol = new("postgresql");
}
