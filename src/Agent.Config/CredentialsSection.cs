using Routing.Settings;

namespace Routing.Agent.Config;

/// <summary>The section <c>authentication</c> of <c>restapi</c> and <c>ctl</c>: a name and a password.</summary>
internal static class CredentialsSection
{
    /// <summary>Reads the section; null: there is none.</summary>
    /// <param name="section">The section around it.</param>
    public static BasicCredentials? Read(SectionReader section)
    {
        var authentication = section.Section("authentication");
        if (!authentication.Exists)
        {
            return null;
        }
        var credentials =
            new BasicCredentials(authentication.RequiredText("username"), authentication.RequiredText("password"));
        authentication.WarnUnknownKeys();
        return credentials;
    }
}
