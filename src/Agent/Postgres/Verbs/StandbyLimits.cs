using System.Globalization;
using Routing.Agent.Config;
using Routing.Agent.Postgres.Files;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>
/// Limits that a standby may not have lower than its primary has, or had: it refuses to start. pg_control knows them.
/// </summary>
internal static class StandbyLimits
{
    /// <summary>The lowest values that a standby with this pg_control starts with.</summary>
    public static (string Name, int Value)[] Least(PgControl control) =>
    [
        ("max_connections", control.MaxConnections),
        ("max_prepared_transactions", control.MaxPreparedTransactions),
        ("max_locks_per_transaction", control.MaxLocksPerTransaction),
        ("max_worker_processes", control.MaxWorkerProcesses),
        ("max_wal_senders", control.MaxWalSenders),
    ];

    /// <summary>The limits that are configured lower than this start as a standby needs them, by name.</summary>
    public static Dictionary<string, string> Raised(PostgresConfig config, string dataDirectory)
    {
        var raised = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, least) in Least(PgControl.Read(dataDirectory)))
        {
            if (int.TryParse(config.Parameters.GetValueOrDefault(name), NumberStyles.None, CultureInfo.InvariantCulture,
                out var configured)
                && configured < least)
            {
                raised[name] = least.ToString(CultureInfo.InvariantCulture);
            }
        }
        return raised;
    }
}
