using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Routing.Dcs;

/// <summary>What a client needs for TLS, from PEM files.</summary>
internal static class TlsFiles
{
    /// <summary>Reads them.</summary>
    /// <param name="caFile">The authorities to trust; null: the system's.</param>
    /// <param name="certificateFile">The client's certificate, perhaps with its key; null: none.</param>
    /// <param name="keyFile">The client's key; null: it stands in the certificate's file.</param>
    /// <exception cref="ClusterStoreException">A file can't be used; it says which.</exception>
    public static SslClientAuthenticationOptions Read(string? caFile, string? certificateFile, string? keyFile)
    {
        var ssl = new SslClientAuthenticationOptions();
        if (caFile is not null)
        {
            var trust = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            Use(caFile, () => trust.CustomTrustStore.ImportFromPemFile(caFile));
            ssl.CertificateChainPolicy = trust;
        }
        if (certificateFile is not null)
        {
            keyFile ??= certificateFile;
            Use($"{certificateFile} with key {keyFile}", () =>
            {
                var certificate = X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
                var others = new X509Certificate2Collection();
                others.ImportFromPemFile(certificateFile);
                ssl.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, others, offline: true);
            });
        }
        return ssl;
    }

    private static void Use(string file, Action read)
    {
        try
        {
            read();
        }
        catch (Exception problem) when (problem is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new ClusterStoreException(
                $"Cannot use the certificate file {file}: {problem.Message}", problem) { IsRefusal = true };
        }
    }
}
