using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Routing.Dcs;

/// <summary>Reads certificates and keys from PEM files, for every program alike.</summary>
/// <remarks>
/// A file that is missing, unreadable or not what it should be throws what <see cref="IsOfTheFile"/> knows; the
/// messages of these exceptions do not name the file.
/// </remarks>
public static class PemFiles
{
    /// <summary>Whether an exception says that a file cannot be used.</summary>
    public static bool IsOfTheFile(Exception problem) =>
        problem is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException;

    /// <summary>The first certificate of a file, with its private key.</summary>
    /// <param name="file">The certificate, perhaps with its key and with intermediate authorities.</param>
    /// <param name="keyFile">Its key; null: it stands in the same file.</param>
    /// <param name="password">The key's password; null: the key is not encrypted.</param>
    public static X509Certificate2 Identity(string file, string? keyFile, string? password = null) =>
        password is null
            ? X509Certificate2.CreateFromPemFile(file, keyFile ?? file)
            : X509Certificate2.CreateFromEncryptedPemFile(file, password, keyFile ?? file);

    /// <summary>The same, with the intermediate authorities of the file to send along. Nothing is downloaded.</summary>
    public static SslStreamCertificateContext IdentityWithChain(
        string file, string? keyFile, string? password = null) =>
        SslStreamCertificateContext.Create(Identity(file, keyFile, password), Certificates(file), offline: true);

    /// <summary>All certificates of a file.</summary>
    public static X509Certificate2Collection Certificates(string file)
    {
        var found = new X509Certificate2Collection();
        found.ImportFromPemFile(file);
        return found;
    }

    /// <summary>A policy that trusts the authorities of a file alone, and asks no server for revocations.</summary>
    public static X509ChainPolicy TrustOnly(string file)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
        };
        policy.CustomTrustStore.ImportFromPemFile(file);
        return policy.CustomTrustStore.Count > 0
            ? policy
            : throw new CryptographicException("It holds no certificate in PEM form.");
    }
}
