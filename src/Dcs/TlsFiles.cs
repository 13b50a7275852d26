using System.Net.Security;
using System.Security.Cryptography;

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
            Use(caFile, () => ssl.CertificateChainPolicy = PemFiles.TrustOnly(caFile));
        }
        if (certificateFile is not null)
        {
            Use(
                $"{certificateFile} with key {keyFile ?? certificateFile}",
                () => ssl.ClientCertificateContext = PemFiles.IdentityWithChain(certificateFile, keyFile));
        }
        return ssl;
    }

    /// <summary>What tells whether the files that <see cref="Read"/> takes, or what is in them, have changed.</summary>
    /// <exception cref="ClusterStoreException">A file can't be read; it says which.</exception>
    public static string Digest(params IEnumerable<string?> files)
    {
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in files)
        {
            if (file is not null)
            {
                Use(file, () => digest.AppendData(SHA256.HashData(File.ReadAllBytes(file))));
            }
            digest.AppendData([file is null ? (byte)0 : (byte)1]);
        }
        return Convert.ToHexString(digest.GetHashAndReset());
    }

    private static void Use(string file, Action read)
    {
        try
        {
            read();
        }
        catch (Exception problem) when (PemFiles.IsOfTheFile(problem))
        {
            throw new ClusterStoreException(
                $"Cannot use the certificate file {file}: {problem.Message}", problem) { IsRefusal = true };
        }
    }
}
