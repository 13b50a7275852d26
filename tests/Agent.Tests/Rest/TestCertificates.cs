using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Routing.TestKit;

namespace Routing.Agent.Tests.Rest;

/// <summary>An authority with the certificates that it issued, as PEM files.</summary>
internal sealed class TestCertificates : IDisposable
{
    private readonly TempDirectory _directory = new("tls");
    private readonly ECDsa _authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _authority;

    public TestCertificates()
    {
        var request = new CertificateRequest("CN=test authority", _authorityKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        File.WriteAllText(CaFile, _authority.ExportCertificatePem());
    }

    public string CaFile => _directory["ca.pem"];

    /// <summary>Issues a certificate; file and key stand in one PEM file.</summary>
    public string Issue(string name, byte serial, string? password = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        using var issued = request.Create(
            _authority, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1), [serial]);
        var file = _directory[$"{name}.pem"];
        var keyText = password is null
            ? key.ExportPkcs8PrivateKeyPem()
            : key.ExportEncryptedPkcs8PrivateKeyPem(
                password, new PbeParameters(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 1000));
        File.WriteAllText(file, issued.ExportCertificatePem() + "\n" + keyText);
        return file;
    }

    public void Dispose()
    {
        _authority.Dispose();
        _authorityKey.Dispose();
        _directory.Dispose();
    }
}
