using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Routing.TestKit;

/// <summary>What reading a configuration gave.</summary>
/// <param name="Settings">The settings; null: they are not usable.</param>
/// <param name="Errors">What is wrong.</param>
/// <param name="Warnings">What has no effect, and the like.</param>
public sealed record ProbedSettings(object? Settings, IReadOnlyList<string> Errors, IReadOnlyList<string> Warnings);

/// <summary>Compares what a document says of settings with what their reader does.</summary>
/// <param name="read">Reads a configuration.</param>
/// <param name="baselines">
/// Configurations without a mistake. A setting has to show its effect over one of them; the first one is read for
/// everything else.
/// </param>
/// <param name="needsRestart">
/// Whether a running program says that it has to be started again for the second settings to take effect in place of
/// the first; null: it is not asked.
/// </param>
public sealed partial class SettingProbe(
    Func<JsonObject, ProbedSettings> read, IReadOnlyList<JsonObject> baselines,
    Func<object, object, bool>? needsRestart = null)
{
    private static readonly JsonNode[] s_samples =
    [
        "other", "https", "DEBUG", "127.0.0.9:5999", "10.0.0.9:2379", "http://10.0.0.9:2379", 7, 11, true, false,
        "0640", "/tmp/other", "10.0.0.0/8", new JsonArray("other"), new JsonArray("10.0.0.9:2379"),
        new JsonObject { ["other"] = "1" }, new JsonObject { ["level"] = "DEBUG" },
        new JsonObject { ["hosts"] = "10.0.0.9:2379" }, new JsonObject { ["on_start"] = "/tmp/other" },
        new JsonObject { ["other"] = "DEBUG" },
        new JsonObject { ["checkpoint"] = "spread" }, new JsonObject { ["mode"] = "require" },
        new JsonObject { ["mode"] = "pass_through" }, new JsonObject { ["host"] = "10.0.0.9" },
        new JsonObject { ["restore_command"] = "/bin/true" },
        new JsonObject { ["parameters"] = new JsonObject { ["work_mem"] = "8MB" } },
        new JsonObject { ["policy"] = "failover" }, new JsonObject { ["from"] = "10.0.0.0/8" },
        new JsonObject { ["other"] = new JsonObject { ["type"] = "physical" } },
        new JsonArray(new JsonObject { ["name"] = "other" }), new JsonObject { ["username"] = "o", ["password"] = "o" },
    ];

    /// <summary>What is wrong in the document, or in the reader, as sentences.</summary>
    public IEnumerable<string> ProblemsOf(DocumentedSetting setting)
    {
        ArgumentNullException.ThrowIfNull(setting);
        return Problems(setting).Select(problem => $"{setting.Path}: {problem}");
    }

    private IEnumerable<string> Problems(DocumentedSetting setting)
    {
        if (WithoutEffect().IsMatch(setting.Text))
        {
            var warnings = Read(baselines[0], setting.Path, 7).Result.Warnings;
            if (!warnings.Any(text => text.Contains(setting.Path, StringComparison.Ordinal)))
            {
                yield return "is said to be without effect, and no warning says so";
            }
            yield break;
        }
        var change = ChangeOf(setting);
        if (change is not { } found)
        {
            yield return "no value that was tried has an effect";
            yield break;
        }
        if (needsRestart is not null && setting.Reload is { } letter
            && needsRestart(found.Before, found.After) != letter is 's' or 'n')
        {
            yield return $"its letter is {letter}, and the program says otherwise";
        }
        foreach (var problem in OfDefault(setting, found).Concat(OfNumber(setting, found)).Concat(OfWords(setting)))
        {
            yield return problem;
        }
    }

    private IEnumerable<string> OfDefault(DocumentedSetting setting, Change change)
    {
        if (setting.Default == "required")
        {
            if (Read(change.Baseline, setting.Path, null).Result.Errors.Count == 0)
            {
                yield return "is said to be required, and is not";
            }
            yield break;
        }
        if (ValueOf(setting) is not { } value)
        {
            yield break;
        }
        var without = Read(change.Baseline, setting.Path, null).Result;
        var with = Read(change.Baseline, setting.Path, value).Result;
        if (with.Settings is null || with.Errors.Count > 0)
        {
            yield return $"its default {value.ToJsonString()} is refused: {string.Join(' ', with.Errors)}";
        }
        else if (Flat.Differences(without.Settings, with.Settings) is { Count: > 0 } differences)
        {
            yield return $"is not {value.ToJsonString()} by default: {string.Join(", ", differences)}";
        }
    }

    private IEnumerable<string> OfNumber(DocumentedSetting setting, Change change)
    {
        if (setting.IsDescribed || Number(setting.Default) is not { } usual)
        {
            yield break;
        }
        foreach (var (number, isAllowed) in Bounds(setting))
        {
            if (IsTaken(change.Baseline, setting.Path, JsonValue.Create(number)) != isAllowed)
            {
                yield return string.Create(
                    CultureInfo.InvariantCulture, $"{number} is {(isAllowed ? "refused" : "taken")}");
            }
        }
        if (IsTaken(change.Baseline, setting.Path, setting.Unit is "bytes" or "MiB" ? "64MB" : "70s")
            != setting.TakesUnits)
        {
            yield return setting.TakesUnits ? "a value with its unit is refused" : "a value with a unit is taken";
        }
        // The leaf that one more changes tells what a plain number stands for.
        var more = Read(change.Baseline, setting.Path, JsonValue.Create(usual + 1)).Result;
        var less = Read(change.Baseline, setting.Path, JsonValue.Create(usual)).Result;
        var (flatMore, flatLess) = (Flat.Of(more.Settings), Flat.Of(less.Settings));
        var path = Flat.Differences(less.Settings, more.Settings).FirstOrDefault(one =>
            !one.Contains(".Raw", StringComparison.Ordinal) && flatLess.ContainsKey(one));
        if (path is null || more.Settings is null || less.Settings is null)
        {
            yield break;
        }
        var isSecond = flatMore[path].Type == typeof(TimeSpan)
            && TimeSpan.Parse(flatMore[path].Text, CultureInfo.InvariantCulture)
                - TimeSpan.Parse(flatLess[path].Text, CultureInfo.InvariantCulture) == TimeSpan.FromSeconds(1);
        if (isSecond != setting.Unit is "s" or "min")
        {
            yield return $"its unit is '{setting.Unit}', and a plain number {(isSecond ? "means" : "does not mean")} "
                + "seconds";
        }
        if (path.EndsWith("Bytes", StringComparison.Ordinal) != setting.Unit is "bytes" or "MiB")
        {
            yield return $"its unit is '{setting.Unit}', and {path} tells another one";
        }
    }

    /// <summary>Numbers at both ends of the range and beyond; without a range any number has to be taken.</summary>
    private static IEnumerable<(decimal Number, bool IsAllowed)> Bounds(DocumentedSetting setting)
    {
        if (setting.Least is not { } least)
        {
            yield return (-7, true);
            yield return (1_000_000, true);
            yield break;
        }
        yield return (least, true);
        yield return (least - (least == decimal.Truncate(least) ? 1 : least / 10), false);
        if (setting.Most is { } most)
        {
            yield return (most, true);
            yield return (most + 1, false);
        }
        else
        {
            yield return (least + 100_000, true);
        }
    }

    /// <summary>The words that a choice takes stand in its entry.</summary>
    private IEnumerable<string> OfWords(DocumentedSetting setting)
    {
        foreach (var error in Read(baselines[0], setting.Path, "no-such-word").Result.Errors)
        {
            if (Words().Match(error) is { Success: true } words)
            {
                foreach (var word in words.Groups[1].Value.Split(", ")
                    .Where(word => !Regex.IsMatch(setting.Text, $@"(?<!\w){Regex.Escape(word)}(?!\w)")))
                {
                    yield return $"it also takes {word}";
                }
            }
        }
    }

    private Change? ChangeOf(DocumentedSetting setting)
    {
        JsonNode[] samples = [.. Quoted().Matches(setting.Text).Select(match => match.Groups[1].Value), .. s_samples];
        foreach (var baseline in baselines)
        {
            var first = read(baseline);
            var before = first.Settings
                ?? throw new InvalidOperationException($"A baseline is wrong: {string.Join(' ', first.Errors)}");
            foreach (var sample in samples)
            {
                var after = Read(baseline, setting.Path, sample).Result;
                if (after is { Settings: not null, Errors.Count: 0 }
                    && !after.Warnings.Any(text => text.Contains("not known", StringComparison.Ordinal))
                    && Flat.Differences(before, after.Settings).Count > 0)
                {
                    return new Change(baseline, before, after.Settings);
                }
            }
        }
        return null;
    }

    private bool IsTaken(JsonObject baseline, string path, JsonNode? value) =>
        Read(baseline, path, value).Result is { Settings: not null, Errors.Count: 0 };

    /// <summary>Reads the baseline with one value changed; null: left out.</summary>
    private (JsonObject Over, ProbedSettings Result) Read(JsonObject baseline, string path, JsonNode? value)
    {
        var over = (JsonObject)baseline.DeepClone();
        var section = over;
        var keys = path.Split('.');
        foreach (var key in keys[..^1])
        {
            section = section[key] as JsonObject ?? (JsonObject)(section[key] = new JsonObject());
        }
        section.Remove(keys[^1]);
        if (value is not null)
        {
            section[keys[^1]] = value.DeepClone();
        }
        return (over, read(over));
    }

    /// <summary>The default as a value of the configuration; null: it is described, or there is none.</summary>
    private static JsonNode? ValueOf(DocumentedSetting setting) => setting switch
    {
        { Default: null } or { IsDescribed: true } => null,
        { Default: "{}" } => new JsonObject(),
        { Default: ['[', .., ']'] list } => new JsonArray(list[1..^1]),
        { Unit: "min" } => JsonValue.Create($"{setting.Default}min"),
        { Unit: "MiB" } => JsonValue.Create($"{setting.Default}MB"),
        { Default: "on" } => JsonValue.Create(true),
        { Default: "off" } => JsonValue.Create(false),
        _ => Number(setting.Default) is { } number ? JsonValue.Create(number) : JsonValue.Create(setting.Default),
    };

    private static decimal? Number(string? text) =>
        decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    [GeneratedRegex("without effect|any other value has no effect")]
    private static partial Regex WithoutEffect();

    [GeneratedRegex("must be one of (.+)$")]
    private static partial Regex Words();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();

    private sealed record Change(JsonObject Baseline, object Before, object After);
}
