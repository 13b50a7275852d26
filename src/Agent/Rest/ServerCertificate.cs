using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Routing.Agent.Config;
using Routing.Dcs;

namespace Routing.Agent.Rest;

/// <summary>
/// The certificate that REST shows and the rules for those of its clients; swapped whole on a reload.
/// </summary>
internal sealed class ServerCertificate : IDisposable
{
    private SslServerAuthenticationOptions? _options;
    private string? _seen;

    /// <summary>What new connections are greeted with.</summary>
    public SslServerAuthenticationOptions Options =>
        Volatile.Read(ref _options) ?? throw new InvalidOperationException("The certificate was not loaded.");

    /// <summary>The serial number of the certificate in use.</summary>
    public string SerialNumber { get; private set; } = "";

    /// <summary>Reads the files again and takes them when they are new.</summary>
    /// <returns>Whether anything changed for new connections.</returns>
    /// <exception cref="InvalidOperationException">A file cannot be read or used.</exception>
    public bool Load(RestSettings settings)
    {
        var certificate = Pem.ReadCertificate(settings.CertificateFile!, settings.KeyFile, settings.KeyFilePassword);
        var seen = $"{certificate.SerialNumber} {settings.CaFile} {settings.VerifyClient}";
        if (seen == _seen)
        {
            certificate.Dispose();
            return false;
        }
        var authorities = settings.CaFile is { } file ? Pem.ReadAuthorities(file) : [];
        var isRequired = settings.VerifyClient == ClientVerification.Required;
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = SslStreamCertificateContext.Create(
                certificate, Pem.ReadAuthorities(settings.CertificateFile!), offline: true),
            ClientCertificateRequired = settings.VerifyClient != ClientVerification.None,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            RemoteCertificateValidationCallback = (_, client, _, _) =>
                settings.VerifyClient == ClientVerification.None
                || (client is null ? !isRequired : Pem.IsIssuedBy(authorities, client)),
        };
        Volatile.Write(ref _options, options);   // the old one lives on in connections that use it
        _seen = seen;
        SerialNumber = certificate.SerialNumber;
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => Volatile.Write(ref _options, null);
}

/// <summary>Certificates and keys from PEM files, with messages that name the file.</summary>
internal static class Pem
{
    /// <summary>A certificate with its private key.</summary>
    public static X509Certificate2 ReadCertificate(string file, string? keyFile, string? password)
    {
        try
        {
            return PemFiles.Identity(file, keyFile, password);
        }
        catch (Exception problem) when (PemFiles.IsOfTheFile(problem))
        {
            throw new InvalidOperationException(
                $"The certificate {file} (key: {keyFile ?? file}) cannot be used: {problem.Message}", problem);
        }
    }

    /// <summary>All certificates of a file.</summary>
    public static X509Certificate2Collection ReadAuthorities(string file)
    {
        try
        {
            return PemFiles.Certificates(file);
        }
        catch (Exception problem) when (PemFiles.IsOfTheFile(problem))
        {
            throw new InvalidOperationException(
                $"The certificates in {file} cannot be read: {problem.Message}", problem);
        }
    }

    /// <summary>Whether the certificate comes from one of the authorities and is valid now.</summary>
    public static bool IsIssuedBy(X509Certificate2Collection authorities, X509Certificate certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        using var copy = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        return chain.Build(copy);
    }
}
