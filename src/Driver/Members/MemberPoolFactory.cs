using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Cluster;

namespace Routing.Driver.Members;

/// <summary>Makes the pools of members: the settings that all of them share.</summary>
/// <param name="Name">The data source's name: part of each pool's name in Npgsql's metrics.</param>
/// <param name="Options">The settings.</param>
/// <param name="Configure">The application's own settings of Npgsql.</param>
/// <param name="Initialize">What the application wants to be done on each new connection.</param>
/// <param name="LoggerFactory">For Npgsql's messages.</param>
/// <param name="Time">The clock.</param>
internal sealed record MemberPoolFactory(
    string Name, RoutingOptions Options, Action<NpgsqlDataSourceBuilder>? Configure, ConnectionInitializer Initialize,
    ILoggerFactory LoggerFactory, TimeProvider Time)
{
    /// <summary>Makes a pool; nothing is connected yet.</summary>
    /// <param name="member">Its member.</param>
    /// <param name="address">The member's address.</param>
    /// <param name="purpose">What its connections are for.</param>
    /// <param name="types">Told when the application makes the pool load the database's types anew.</param>
    public MemberPool Create(string member, HostPort address, PoolPurpose purpose, TypeChanges types)
    {
        var builder = new NpgsqlDataSourceBuilder(Options.ConnectionString);
        WithDefaults(builder.ConnectionStringBuilder);
        builder.UseLoggerFactory(LoggerFactory);
        Configure?.Invoke(builder);
        builder.ConnectionStringBuilder.Host = address.Host;
        builder.ConnectionStringBuilder.Port = address.Port;
        // Npgsql has one time for the whole of a login: as long as the caller waits. The opener looks after silence.
        builder.ConnectionStringBuilder.Timeout =
            (int)Math.Ceiling(Longer(Options.OpenTimeout, Options.Silence).TotalSeconds);
        builder.Name = $"{Name}/{purpose.ToString().ToLowerInvariant()}@{member}";
        MemberPool? pool = null;
        UseInitializer(builder, member, address, purpose, () => pool is { AdmitsStandby: true });
        var observer = new TypeLoadObserver();
        observer.Observe(builder);
        pool = new MemberPool(member, address, purpose, builder.Build(), Time);
        observer.Reloaded = () =>
        {
            var version = types.Advance(position: null);
            if (purpose == PoolPurpose.Write)   // a replica may not have the change yet: it loads once more
            {
                pool.TypesVersion = version;
            }
        };
        return pool;
    }

    /// <summary>
    /// The driver's check of the role, and what the application wants to be done on each new connection, in pools of
    /// both kinds.
    /// </summary>
    private void UseInitializer(
        NpgsqlDataSourceBuilder builder, string member, HostPort address, PoolPurpose purpose,
        Func<bool> admitsStandby)
    {
        var ofBuilder = MemberInitializer.Of(builder);
        var mustAcceptWrites = purpose == PoolPurpose.Write;
        if (!mustAcceptWrites && Initialize.Sync is null && ofBuilder.Sync is null)
        {
            return;
        }
        builder.UsePhysicalConnectionInitializer(
            connection =>
            {
                if (mustAcceptWrites && IsInRecovery(connection)
                    && !(admitsStandby() && Reported(connection) == true))
                {
                    throw new WrongRoleException(member, address);
                }
                Initialize.Sync?.Invoke(connection);
                ofBuilder.Sync?.Invoke(connection);
            },
            async connection =>
            {
                if (mustAcceptWrites && await IsInRecoveryAsync(connection).ConfigureAwait(false)
                    && !(admitsStandby() && Reported(connection) == true))
                {
                    throw new WrongRoleException(member, address);
                }
                await (Initialize.Async?.Invoke(connection) ?? Task.CompletedTask).ConfigureAwait(false);
                await (ofBuilder.Async?.Invoke(connection) ?? Task.CompletedTask).ConfigureAwait(false);
            });
    }

    private static TimeSpan Longer(TimeSpan left, TimeSpan right) => left > right ? left : right;

    /// <summary>
    /// What serves better than Npgsql's own defaults where servers come and go; what the string says stays.
    /// </summary>
    private static void WithDefaults(NpgsqlConnectionStringBuilder settings)
    {
        Default("Tcp Keepalive", true);
        Default("Tcp Keepalive Time", 10);
        Default("Tcp Keepalive Interval", 3);
        Default("GSS Encryption Mode", GssEncryptionMode.Disable);   // a round trip less for each login

        void Default(string keyword, object value)
        {
            if (!settings.ShouldSerialize(keyword))   // ContainsKey is true for every keyword that Npgsql knows
            {
                settings[keyword] = value;
            }
        }
    }

    private const string RoleQuestion = "SELECT pg_is_in_recovery()";

    // From version 14 on the server has said so at login; before, it is asked.
    private static bool? Reported(NpgsqlConnection connection) =>
        connection.PostgresParameters.TryGetValue("in_hot_standby", out var value) ? value == "on" : null;

    /// <summary>Asks a session's server whether it is in recovery now.</summary>
    public static async Task<bool> AskForRecoveryAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var question = new NpgsqlCommand(RoleQuestion, connection);
        await using (question.ConfigureAwait(false))
        {
            return Convert.ToBoolean(
                await question.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false),
                CultureInfo.InvariantCulture);
        }
    }

    private static bool IsInRecovery(NpgsqlConnection connection)
    {
        if (Reported(connection) is { } reported)
        {
            return reported;
        }
        using var question = new NpgsqlCommand(RoleQuestion, connection);
        return Convert.ToBoolean(question.ExecuteScalar(), CultureInfo.InvariantCulture);
    }

    private static async Task<bool> IsInRecoveryAsync(NpgsqlConnection connection)
    {
        if (Reported(connection) is { } reported)
        {
            return reported;
        }
        return await AskForRecoveryAsync(connection, CancellationToken.None).ConfigureAwait(false);
    }
}
