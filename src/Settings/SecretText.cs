using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Routing.Settings;

/// <summary>
/// Keeps secrets out of what is said about a configuration: such messages go to terminals, logs and bug reports.
/// </summary>
public static partial class SecretText
{
    private const string Hidden = "***";

    private static readonly string[] s_secretNames =
    [
        "password", "passwd", "passphrase", "secret", "token", "credential", "authentication", "auth_data",
        "post_bootstrap", "post_init",
        "conninfo", "connstr", "dsn", "extra_headers", "acl",
    ];

    /// <summary>A value as it may be shown; null when it may not be shown at all.</summary>
    /// <param name="path">The setting that it stands under.</param>
    /// <param name="value">The value as written; null: none.</param>
    public static string? Shown(string path, string? value)
    {
        ArgumentNullException.ThrowIfNull(path);
        return value is null || (IsSecret(path) && !IsHarmless(path)) ? null : Masked(value);
    }

    /// <summary>A text without the passwords of URLs and connection strings that it holds.</summary>
    public static string Masked(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Assignment().Replace(UserOfUrl().Replace(text, $"://{Hidden}@"), $"$1{Hidden}");
    }

    /// <summary>
    /// A configuration as it may be shown: what is secret in it is <c>***</c>, the rest stands as it is.
    /// </summary>
    /// <param name="node">The value.</param>
    /// <param name="path">The setting that it stands under; empty for the whole.</param>
    public static JsonNode? Masked(JsonNode? node, string path = "")
    {
        ArgumentNullException.ThrowIfNull(path);
        return node switch
        {
            JsonObject map =>
                new JsonObject(map.Select(
                    pair => KeyValuePair.Create(pair.Key, Masked(pair.Value, SettingsTree.Join(path, pair.Key))))),
            JsonArray list => new JsonArray(
                [.. list.Select(
                    (item, index) => Masked(item, string.Create(CultureInfo.InvariantCulture, $"{path}[{index}]")))]),
            JsonValue value when IsSecret(path) && !IsHarmless(path) => Hidden,
            JsonValue value when value.GetValueKind() == JsonValueKind.String => Masked(value.GetValue<string>()),
            _ => node?.DeepClone(),
        };
    }

    private static bool IsSecret(string path) =>
        Array.Exists(s_secretNames, name => path.Contains(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Below <c>authentication</c>, what names a user or a file.</summary>
    private static bool IsHarmless(string path)
    {
        var name = path[(path.LastIndexOf('.') + 1)..];
        return name is "username" or "sslmode" or "sslcert" or "sslkey" or "sslrootcert" or "sslcrl" or "sslcrldir"
            or "gssencmode"
            or "channel_binding" or "sslnegotiation" or "server_tokens" or "passfile" or "password_encryption";
    }

    // Up to the last @: a password that was not escaped may hold one.
    [GeneratedRegex(@"://[^\s]*@", RegexOptions.CultureInvariant)]
    private static partial Regex UserOfUrl();

    [GeneratedRegex(@"(pass(?:word|wd|phrase)\s*[=:]\s*)('[^']*'?|""[^""]*""?|\S+)",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Assignment();
}
