using Routing.Settings;

namespace Routing.Agent.Config;

/// <summary>The section <c>ctl</c>: how agents and routingctl speak to the REST API of members.</summary>
internal static class CtlSection
{
    /// <summary>Reads the section. What it leaves out is taken from <c>restapi</c>.</summary>
    public static CtlSettings Read(SectionReader ctl, RestSettings rest)
    {
        var settings = new CtlSettings
        {
            Authentication = CredentialsSection.Read(ctl) ?? rest.Authentication,
            Insecure = ctl.Boolean("insecure") ?? false,
            CaFile = ctl.Text("cacert") ?? rest.CaFile,
            CertificateFile = ctl.Text("certfile"),
            KeyFile = ctl.Text("keyfile"),
            KeyFilePassword = ctl.Text("keyfile_password"),
        };
        ctl.WarnUnknownKeys();
        return settings;
    }
}
