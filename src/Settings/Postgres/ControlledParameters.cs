using System.Collections.Immutable;
using System.Globalization;
using Routing.Cluster.Text;

namespace Routing.Settings.Postgres;

/// <summary>
/// The server parameters that every member must agree on: they come from the dynamic configuration alone, and have
/// bounds.
/// </summary>
public static class ControlledParameters
{
    private const int WalSegmentMegabytes = 16;

    private const int MaximumBackends = 262_143;

    private static readonly (string Name, int Default, int Least, int Most)[] s_numbers =
    [
        ("max_connections", 100, 25, MaximumBackends),
        ("max_locks_per_transaction", 64, 32, int.MaxValue),
        ("max_prepared_transactions", 0, 0, MaximumBackends),
        ("max_replication_slots", 10, 4, MaximumBackends),
        ("max_wal_senders", 10, 3, MaximumBackends),
        ("max_worker_processes", 8, 2, MaximumBackends),
    ];

    private static readonly (string Name,
        string Default)[] s_flags = [("track_commit_timestamp", "off"), ("wal_log_hints", "on")];

    /// <summary>Whether the agent alone sets a parameter, by what stands elsewhere in its configuration.</summary>
    public static bool IsSetByAgent(string name) =>
        name.ToLowerInvariant() is "listen_addresses" or "port" or "cluster_name";

    /// <summary>Whether a parameter is controlled.</summary>
    public static bool Contains(string name) => IsSetByAgent(name)
        || name.ToLowerInvariant() is "wal_level" or "hot_standby" or "wal_keep_segments" or "wal_keep_size"
        || s_numbers.Any(number => number.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
        || s_flags.Any(flag => flag.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>The controlled parameters that are configured, by name.</summary>
    public static IEnumerable<string> Names { get; } =
        [.. From(ImmutableSortedDictionary<string, string>.Empty, static (_, _) => { }).Select(pair => pair.Key)];

    /// <summary>Whether a controlled parameter can have a value.</summary>
    public static bool Takes(string name, string value)
    {
        var isTaken = true;
        _ = From(ImmutableSortedDictionary<string, string>.Empty.Add(name, value), (_, _) => isTaken = false).ToList();
        return isTaken;
    }

    /// <summary>Whether a controlled parameter stands on the command line of postgres too.</summary>
    public static bool OnCommandLine(string name) => name is not "wal_keep_size";

    /// <summary>
    /// The values in force: what the dynamic configuration gives, or the default where that is wrong or missing.
    /// </summary>
    /// <param name="given">The dynamic configuration's parameters.</param>
    /// <param name="problem">Is told of each value that cannot be used, and of what holds in its place.</param>
    public static IEnumerable<KeyValuePair<string, string>> From(
        ImmutableSortedDictionary<string, string> given, Action<string, string> problem)
    {
        foreach (var (name, fallback, least, most) in s_numbers)
        {
            yield return Pair(name, Checked(
                given, name, fallback.ToString(CultureInfo.InvariantCulture),
                most == int.MaxValue ? $"a whole number of at least {least}" : $"a whole number from {least} to {most}",
                problem,
                text => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
                    && number >= least && number <= most
                    ? number.ToString(CultureInfo.InvariantCulture)
                    : null));
        }
        foreach (var (name, fallback) in s_flags)
        {
            yield return Pair(name, Checked(
                given, name, fallback, "on or off", problem,
                text => Scalars.TryBoolean(text, out var flag) ? (flag ? "on" : "off") : null));
        }
        yield return Pair("hot_standby", Checked(
            given, "hot_standby", "on", "on", problem,
            text => Scalars.TryBoolean(text, out var flag) && flag ? "on" : null));
        yield return Pair("wal_level", Checked(
            given, "wal_level", "replica", "replica, hot_standby or logical", problem,
            text => text.ToLowerInvariant() switch { "replica" or "hot_standby" => "replica", "logical" =>
                "logical", _ => null }));
        yield return Pair("wal_keep_size", WalKeepSize(given, problem));
    }

    private static string WalKeepSize(ImmutableSortedDictionary<string, string> given, Action<string, string> problem)
    {
        const string Default = "128MB";
        // Servers since 13 know the size alone; the older name counts in segments of 16 MB.
        if (!given.ContainsKey("wal_keep_size") && given.ContainsKey("wal_keep_segments"))
        {
            return Checked(
                given, "wal_keep_segments", Default, "a whole number of at least 1", problem,
                text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var segments)
                    && segments >= 1
                    ? string.Create(CultureInfo.InvariantCulture, $"{(long)segments * WalSegmentMegabytes}MB")
                    : null);
        }
        return Checked(
            given, "wal_keep_size", Default, "a size of at least 16MB", problem,
            text => Megabytes(text) >= WalSegmentMegabytes ? text : null);
    }

    /// <summary>A bare number counts megabytes, as the server reads this parameter; null when it is no size.</summary>
    private static long? Megabytes(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
        : PostgresUnits.TryParseBytes(text, out var bytes) ? bytes / (1024 * 1024)
        : null;

    private static string Checked(
        ImmutableSortedDictionary<string, string> given, string name, string fallback, string allowed,
        Action<string, string> problem,
        Func<string, string?> accept)
    {
        if (!given.TryGetValue(name, out var text))
        {
            return fallback;
        }
        if (accept(text.Trim()) is { } value)
        {
            return value;
        }
        problem($"postgresql.parameters.{name}: '{text}': must be {allowed}", $"{fallback} is used");
        return fallback;
    }

    private static KeyValuePair<string, string> Pair(string name, string value) => KeyValuePair.Create(name, value);
}
