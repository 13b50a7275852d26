using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Routing.Proxy.Tls;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Tls;

/// <summary>How the tests' clients do TLS.</summary>
internal static class Trust
{
    /// <summary>
    /// Trusts what the authority has signed, whatever the name: which one is shown, the tests look at themselves.
    /// </summary>
    public static SslClientAuthenticationOptions Trusting(
        this CertificateFiles certificates, string? protocol = null) => new()
    {
        TargetHost = "localhost",
        CertificateChainPolicy = TlsIdentity.ReadAuthorities(certificates.Authority),
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, _, _, errors) =>
            (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None,
        ApplicationProtocols = protocol is null ? null : [new SslApplicationProtocol(protocol)],
    };
}
