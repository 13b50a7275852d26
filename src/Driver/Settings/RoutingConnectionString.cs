using System.Data.Common;
using System.Globalization;
using Npgsql;

namespace Routing.Driver.Settings;

/// <summary>
/// One string for everything: <c>Cluster=orders;Etcd=10.0.0.1:2379,10.0.0.2:2379;Target Session
/// Attributes=primary;Database=…</c>.
/// </summary>
/// <remarks>Keywords that are not the driver's own are Npgsql's.</remarks>
internal static class RoutingConnectionString
{
    private static readonly Dictionary<string, Action<RoutingOptions, string>> s_keywords =
        new(StringComparer.OrdinalIgnoreCase)
    {
        ["Cluster"] = static (options, value) => options.Cluster = value,
        ["Namespace"] = static (options, value) => options.Namespace = value,
        ["Topology"] = static (options, value) => options.Topology = Word<TopologySource>(value),
        ["Etcd"] = static (options, value) => Add(options.Etcd, value),
        ["Etcd Username"] = static (options, value) => options.EtcdUsername = value,
        ["Etcd Password"] = static (options, value) => options.EtcdPassword = value,
        ["Etcd CA File"] = static (options, value) => options.EtcdCaFile = value,
        ["Etcd Certificate File"] = static (options, value) => options.EtcdCertificateFile = value,
        ["Etcd Key File"] = static (options, value) => options.EtcdKeyFile = value,
        ["Rest"] = static (options, value) => Add(options.Rest, value),
        ["Rest CA File"] = static (options, value) => options.RestCaFile = value,
        ["Rest Interval"] = static (options, value) => options.RestInterval = Seconds(value),
        ["Target Session Attributes"] = static (options, value) =>
            options.Target = Word<TargetSessionAttributes>(value),
        ["Open Timeout"] = static (options, value) => options.OpenTimeout = Seconds(value),
        ["Timeout"] = static (options, value) => options.ConnectTimeout = Seconds(value),
        ["Maximum Lag Bytes"] = static (options, value) =>
            options.MaximumLagBytes = long.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture),
        ["Zone"] = static (options, value) => options.Zone = value,
        ["Zone Tag"] = static (options, value) => options.ZoneTag = value,
        ["Required Tags"] = static (options, value) => AddTags(options.RequiredTags, value),
        ["Read Policy"] = static (options, value) => options.ReadPolicy = Word<ReadPolicy>(value),
        ["Read Fallback"] = static (options, value) => options.ReadFallback = Word<ReadFallback>(value),
        ["Causal Wait"] = static (options, value) => options.CausalWait = Seconds(value),
        ["Warm Connections"] = static (options, value) =>
            options.WarmConnections = int.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture),
        ["Maximum Warm Connections"] = static (options, value) =>
            options.MaximumWarmConnections = int.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture),
    };

    // Said by the topology, or of no meaning beside it.
    private static readonly string[] s_refused = ["Host", "Server", "Port", "Load Balance Hosts",
        "Host Recheck Seconds"];

    private const string Multiplexing = "Multiplexing";

    /// <summary>Reads the string into options.</summary>
    /// <exception cref="ArgumentException">A keyword or a value is not understood; the message names it.</exception>
    public static RoutingOptions Parse(string connectionString)
    {
        var options = new RoutingOptions();
        var all = new DbConnectionStringBuilder { ConnectionString = connectionString };
        var rest = new DbConnectionStringBuilder();
        foreach (string keyword in all.Keys)
        {
            var value = Convert.ToString(all[keyword], CultureInfo.InvariantCulture) ?? "";
            try
            {
                if (!TrySet(options, keyword, value))
                {
                    rest[keyword] = value;
                }
            }
            catch (FormatException problem)
            {
                throw new ArgumentException(
                    $"{problem.Message} It stands in the connection string.", nameof(connectionString), problem);
            }
        }
        options.ConnectionString = rest.ConnectionString;
        return options;
    }

    /// <summary>Sets what one of the driver's own keywords says.</summary>
    /// <returns>False: it is none of them.</returns>
    /// <exception cref="FormatException">The value is not understood; the message names both.</exception>
    public static bool TrySet(RoutingOptions options, string keyword, string value)
    {
        if (!s_keywords.TryGetValue(keyword, out var set) && !s_keywords.TryGetValue(Spaced(keyword), out set))
        {
            return false;
        }
        try
        {
            set(options, value);
            return true;
        }
        catch (Exception problem) when (problem is FormatException or OverflowException)
        {
            throw new FormatException($"The value '{value}' of '{keyword}' is not understood: {problem.Message}",
                problem);
        }
    }

    /// <summary>What is wrong with the part for Npgsql; null: nothing.</summary>
    public static string? ProblemOf(string connectionString)
    {
        try
        {
            var all = new DbConnectionStringBuilder { ConnectionString = connectionString };
            foreach (string keyword in all.Keys)
            {
                if (s_refused.Contains(keyword, StringComparer.OrdinalIgnoreCase)
                    || s_refused.Contains(Spaced(keyword), StringComparer.OrdinalIgnoreCase))
                {
                    return $"The connection string has '{keyword}': hosts come from the topology, one pool for each; "
                        + "leave it out.";
                }
            }
            return new NpgsqlConnectionStringBuilder(connectionString).Multiplexing
                ? $"The connection string switches '{Multiplexing}' on: a session must stay with one member; leave it "
                    + "out."
                : null;
        }
        catch (Exception problem) when (problem is ArgumentException or FormatException or KeyNotFoundException
            or InvalidCastException)
        {
            return $"The connection string is not understood: {problem.Message}";
        }
    }

    /// <summary>All that is wrong with the options, in one exception.</summary>
    /// <exception cref="ArgumentException">Something is.</exception>
    public static void Check(RoutingOptions options)
    {
        var result = new RoutingOptionsValidator().Validate(null, options);
        if (result.Failed)
        {
            throw new ArgumentException(
                $"The settings of the data source are wrong: {string.Join(" ", result.Failures)}", nameof(options));
        }
    }

    /// <summary>The settings as text, without passwords, for people.</summary>
    public static string Describe(RoutingOptions options, TargetSessionAttributes target)
    {
        var text = new DbConnectionStringBuilder();
        var npgsql = new NpgsqlConnectionStringBuilder(options.ConnectionString);
        if (!npgsql.PersistSecurityInfo)
        {
            npgsql.Password = null;
            npgsql.SslPassword = null;
        }
        text.ConnectionString = npgsql.ConnectionString;
        text["Cluster"] = options.Cluster;
        text["Namespace"] = options.Namespace;
        text[options.Topology == TopologySource.Etcd ? "Etcd" : "Rest"] =
            string.Join(',', options.Topology == TopologySource.Etcd ? options.Etcd : options.Rest);
        text["Target Session Attributes"] = target.ToString();
        return text.ConnectionString;
    }

    /// <summary>Where the topology comes from, for messages.</summary>
    public static string SourceOf(RoutingOptions options) => options.Topology == TopologySource.Etcd
        ? $"etcd at {string.Join(", ", options.Etcd)}"
        : $"the agents' REST at {string.Join(", ", options.Rest)}";

    // "TargetSessionAttributes" for "Target Session Attributes", as Npgsql takes both.
    private static string Spaced(string keyword) =>
        s_keywords.Keys.Concat(s_refused)
            .FirstOrDefault(
                one => one.Replace(" ", "", StringComparison.Ordinal)
                    .Equals(keyword, StringComparison.OrdinalIgnoreCase)) ?? keyword;

    // A number of seconds, or a time as 00:00:10. A lone number is never a time of .NET's, for which it means days.
    private static TimeSpan Seconds(string value) => value.Contains(':', StringComparison.Ordinal)
        ? TimeSpan.Parse(value, CultureInfo.InvariantCulture)
        : TimeSpan.FromSeconds(double.Parse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture));

    private static void Add(IList<string> list, string value)
    {
        foreach (var one in value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            list.Add(one);
        }
    }

    private static void AddTags(IDictionary<string, string> tags, string value)
    {
        foreach (var one in value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var colon = one.IndexOf(':', StringComparison.Ordinal);
            if (colon < 1)
            {
                throw new FormatException($"'{one}' is not of the form name:value.");
            }
            tags[one[..colon].Trim()] = one[(colon + 1)..].Trim();
        }
    }

    // "prefer-standby", "PreferStandby" and "prefer_standby" are one word.
    private static T Word<T>(string value)
        where T : struct, Enum
    {
        var plain = value.Replace("-", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal);
        foreach (var one in Enum.GetValues<T>())
        {
            if (one.ToString().Equals(plain, StringComparison.OrdinalIgnoreCase))
            {
                return one;
            }
        }
        throw new FormatException($"It must be one of {string.Join(", ", Enum.GetNames<T>())}.");
    }
}
