using System.Collections.Immutable;
using Routing.Dcs;

namespace Routing.Agent.Config;

/// <summary>What a re-read configuration changes in a running agent.</summary>
/// <param name="Effective">The new settings, with everything that can't change in a running process as it was.</param>
/// <param name="NeedProcessRestart">
/// The settings that were changed and take effect only when the agent starts again, by path.
/// </param>
public sealed record SettingsChange(AgentSettings Effective, ImmutableArray<string> NeedProcessRestart)
{
    /// <summary>Compares the settings in force with newly read ones.</summary>
    public static SettingsChange Between(AgentSettings current, AgentSettings next)
    {
        var changed = ImmutableArray.CreateBuilder<string>();
        var effective = next with
        {
            Name = Keep("name", current.Name, next.Name),
            Scope = Keep("scope", current.Scope, next.Scope),
            Namespace = Keep("namespace", current.Namespace, next.Namespace),
            Etcd = KeepAddresses(current.Etcd, next.Etcd, changed),
            Log = next.Log with
            {
                MaximumQueueLength =
                    Keep("log.max_queue_size", current.Log.MaximumQueueLength, next.Log.MaximumQueueLength),
            },
            Watchdog = Keep("watchdog", current.Watchdog, next.Watchdog),
            Postgres = next.Postgres with
            {
                DataDirectory =
                    Keep("postgresql.data_dir", current.Postgres.DataDirectory, next.Postgres.DataDirectory),
                ConfigDirectory =
                    Keep("postgresql.config_dir", current.Postgres.ConfigDirectory, next.Postgres.ConfigDirectory),
                ConfigBaseName =
                    Keep("postgresql.config_base_name", current.Postgres.ConfigBaseName, next.Postgres.ConfigBaseName),
                BinDirectory = Keep("postgresql.bin_dir", current.Postgres.BinDirectory, next.Postgres.BinDirectory),
                Programs = Keep("postgresql.bin_name", current.Postgres.Programs, next.Postgres.Programs),
                PasswordFile = Keep("postgresql.pgpass", current.Postgres.PasswordFile, next.Postgres.PasswordFile),
                Database = Keep("postgresql.database", current.Postgres.Database, next.Postgres.Database),
            },
        };
        return new SettingsChange(effective, changed.ToImmutable());

        T Keep<T>(string path, T old, T wanted)
        {
            if (!EqualityComparer<T>.Default.Equals(old, wanted))
            {
                changed.Add(path);
            }
            return old;
        }
    }

    /// <summary>Addresses stay; user, password and certificates are taken over.</summary>
    private static EtcdOptions KeepAddresses(
        EtcdOptions current, EtcdOptions next, ImmutableArray<string>.Builder changed)
    {
        if (!current.Endpoints.SequenceEqual(next.Endpoints)
            || current.UseProxies != next.UseProxies
            || !Equals(current.Source, next.Source))
        {
            changed.Add("etcd3.hosts");
        }
        return next with
        {
            Endpoints = current.Endpoints,
            UseProxies = current.UseProxies,
            Source = current.Source,
        };
    }
}
