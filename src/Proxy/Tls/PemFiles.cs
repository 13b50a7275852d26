using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Routing.Proxy.Tls;

/// <summary>
/// Reads certificates from PEM files; every fault is an <see cref="IOException"/> that names the file.
/// </summary>
internal static class PemFiles
{
    /// <summary>A certificate with its key and its chain, leaf first.</summary>
    /// <exception cref="IOException">A file is missing, unreadable or not what it should be.</exception>
    public static SslStreamCertificateContext ReadIdentity(string certificateFile, string? keyFile) =>
        Read(certificateFile, () =>
    {
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(certificateFile);
        var leaf = X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
        return SslStreamCertificateContext.Create(leaf, chain, offline: true);
    });

    /// <summary>A policy that trusts the authorities of this file alone.</summary>
    /// <exception cref="IOException">The file is missing, unreadable or holds no certificate.</exception>
    public static X509ChainPolicy ReadAuthorities(string file) => Read(file, () =>
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,   // a handshake never waits for a download
        };
        policy.CustomTrustStore.ImportFromPemFile(file);
        return policy.CustomTrustStore.Count > 0 ? policy : throw new IOException($"{file} holds no certificate.");
    });

    private static T Read<T>(string file, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is CryptographicException or UnauthorizedAccessException
            or ArgumentException)
        {
            throw new IOException($"Can't read the certificate {file} or its key: {error.Message}", error);
        }
    }
}
