using System.Collections.Immutable;
using Routing.Settings;

namespace Routing.Agent.Config;

/// <summary>The section <c>postgresql.authentication</c>: the users as whom the agent connects.</summary>
internal static class PostgresUsersSection
{
    /// <summary>Reads the section, and the places where versions before 1.3 had its users.</summary>
    /// <param name="postgresql">The section <c>postgresql</c> around it.</param>
    public static AuthenticationSettings Read(SectionReader postgresql)
    {
        var authentication = postgresql.Section("authentication");
        var superuser = User(authentication, postgresql, "superuser", "superuser", required: true);
        var replication = User(authentication, postgresql, "replication", "replication", required: true);
        var rewind = User(authentication, postgresql, "rewind", "pg_rewind", required: false);
        authentication.WarnUnknownKeys();
        var nobody = new PostgresUser { Username = "" };
        return new AuthenticationSettings { Superuser = superuser ?? nobody, Replication = replication ?? nobody,
            Rewind = rewind };
    }

    private static PostgresUser? User(
        SectionReader authentication, SectionReader postgresql, string name, string legacyName, bool required)
    {
        var section = authentication.Section(name);
        if (!section.Exists && postgresql.Has(legacyName))
        {
            section = postgresql.Section(legacyName);   // where versions before 1.3 had it
        }
        postgresql.Ignore(legacyName);
        if (!section.Exists && !required)
        {
            return null;
        }
        var options = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var keyword in PostgresUser.Keywords)
        {
            if (section.Text(keyword) is { Length: > 0 } value)
            {
                options[keyword] = value;
                // libpq refuses every connection with another word; the agent's own would be less strict than meant.
                if (PostgresUser.WordsOf(keyword) is { IsEmpty: false } words && !words.Contains(value))
                {
                    section.Wrong(keyword, $"one of {string.Join(", ", words)}");
                }
                if (keyword is "sslcrl" or "sslcrldir")
                {
                    section.Warn(keyword,
                        "holds for streaming, copies and rewinds; the agent's own connections do not look at it");
                }
            }
        }
        var user = new PostgresUser
        {
            Username = OneLine(section, "username", section.RequiredText("username")) ?? "",
            Password = OneLine(section, "password", section.Text("password")),
            Options = options.ToImmutable(),
        };
        section.WarnUnknownKeys();
        return user;
    }

    /// <summary>A password file and a service file have one line per entry, and no way to write a line break.</summary>
    private static string? OneLine(SectionReader section, string key, string? text)
    {
        if (text?.AsSpan().IndexOfAny('\n', '\r', '\0') >= 0)
        {
            section.Wrong(key, "one line (a text behind | ends with a line break, one behind |- does not)");
        }
        return text;
    }
}
