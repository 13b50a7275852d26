using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Routing.Dcs;

namespace Routing.Proxy.Tls;

/// <summary>
/// Certificates from PEM files; every fault is an <see cref="IOException"/> that names the file.
/// </summary>
internal static class TlsIdentity
{
    /// <summary>A certificate with its key and its chain, leaf first.</summary>
    /// <exception cref="IOException">A file is missing, unreadable or not what it should be.</exception>
    public static SslStreamCertificateContext Read(string certificateFile, string? keyFile) =>
        Read(certificateFile, () => PemFiles.IdentityWithChain(certificateFile, keyFile));

    /// <summary>A policy that trusts the authorities of this file alone.</summary>
    /// <exception cref="IOException">The file is missing, unreadable or holds no certificate.</exception>
    public static X509ChainPolicy ReadAuthorities(string file) => Read(file, () =>
    {
        var policy = PemFiles.TrustOnly(file);
        policy.DisableCertificateDownloads = true;   // a handshake never waits for a download
        return policy;
    });

    private static T Read<T>(string file, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is not IOException && PemFiles.IsOfTheFile(error))
        {
            throw new IOException($"Can't read the certificate {file} or its key: {error.Message}", error);
        }
    }
}
