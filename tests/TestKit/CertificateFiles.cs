using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Routing.TestKit;

/// <summary>An authority, and what it signs, as PEM files.</summary>
public sealed class CertificateFiles : IDisposable
{
    private static readonly DateTimeOffset s_from = DateTimeOffset.UtcNow.AddDays(-1);
    private readonly TempDirectory _directory = new("tls");
    private readonly X509Certificate2 _authority;
    private byte _serial;

    /// <summary>Makes the authority.</summary>
    public CertificateFiles(string name = "tests")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=authority of {name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _authority = request.CreateSelfSigned(s_from, s_from.AddYears(1));
        OrdinaryProcess.GiveAway(_directory.Path);
        File.WriteAllText(Authority, _authority.ExportCertificatePem());
    }

    /// <summary>The authority's file.</summary>
    public string Authority => _directory["ca.pem"];

    /// <summary>
    /// A file with certificate and key for a host's name or address, readable by its owner alone; written anew each
    /// time.
    /// </summary>
    /// <param name="host">The name, or the address.</param>
    /// <param name="file">The file's name.</param>
    /// <param name="others">Further names.</param>
    public string FileFor(string host, string file = "server.pem", params ReadOnlySpan<string> others)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={host}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        if (IPAddress.TryParse(host, out var address))
        {
            names.AddIpAddress(address);
        }
        else
        {
            names.AddDnsName(host);
        }
        foreach (var other in others)
        {
            names.AddDnsName(other);
        }
        request.CertificateExtensions.Add(names.Build());
        using var signed = request.Create(_authority, s_from, s_from.AddMonths(6), [1, 2, 3, ++_serial]);
        File.WriteAllText(_directory[file], signed.ExportCertificatePem() + "\n" + key.ExportPkcs8PrivateKeyPem());
        File.SetUnixFileMode(_directory[file], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        OrdinaryProcess.GiveAway(_directory[file]);
        return _directory[file];
    }

    /// <summary>A certificate with its key, for a server.</summary>
    public X509Certificate2 For(string host)
    {
        using var pem = X509Certificate2.CreateFromPemFile(FileFor(host, $"{host}.pem"));
        return X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _authority.Dispose();
        _directory.Dispose();
    }
}
