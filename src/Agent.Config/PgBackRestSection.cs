using Routing.Settings;

namespace Routing.Agent.Config;

/// <summary>The section <c>pgbackrest</c>.</summary>
internal static class PgBackRestSection
{
    /// <summary>Reads the section and warns of keys that it does not know; null: there is none.</summary>
    public static PgBackRestSettings? Read(SectionReader section)
    {
        if (!section.Exists)
        {
            return null;
        }
        var settings = new PgBackRestSettings
        {
            Stanza = section.RequiredText("stanza"),
            Command = section.Text("command") ?? "pgbackrest",
            ConfigFile = section.Text("config"),
            MaximumAge = section.Seconds("maximum_age", 60) ?? TimeSpan.FromHours(26),
        };
        section.WarnUnknownKeys();
        return settings;
    }
}
