using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.Cli.Members;
using Routing.Cli.Output;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Cli.Sql;

/// <summary>Runs SQL on a member by name or by role. An error is a row, so that a watch goes on.</summary>
/// <remarks>The connection is kept; after an error of the connection the member is looked for anew.</remarks>
internal sealed class MemberSql(Session session, IClusterStore store, MemberQuery target, SqlLogin login)
    : IAsyncDisposable
{
    private const int Boolean = 16;

    /// <summary>int8, int2, int4, oid.</summary>
    private static readonly HashSet<uint> s_integers = [20, 21, 23, 26];

    /// <summary>float4, float8, numeric.</summary>
    private static readonly HashSet<uint> s_numbers = [700, 701, 1700];

    private static readonly SearchValues<char> s_ofNumbers = SearchValues.Create("0123456789.-+eE");

    private NpgsqlConnection? _connection;

    /// <summary>Runs the statements; one result for each that gives rows.</summary>
    public async Task<IReadOnlyList<QueryResult>> RunAsync(string sql, CancellationToken cancellationToken)
    {
        try
        {
            if (_connection is null)
            {
                var snapshot = await store.ReadAsync(cancellationToken);
                _connection = await ConnectAsync(snapshot, cancellationToken);
            }
            if (_connection is null)
            {
                var whom = target.Name is { } name ? $"member {name}" : $"role={target.Role}";
                return [
                    QueryResult.Error(session.Timestamp(withFraction: false), $"No connection to {whom} is available")];
            }
            return await ReadAsync(_connection, sql, cancellationToken);
        }
        catch (Exception e) when (e is NpgsqlException or SocketException or TimeoutException)
        {
            if (e is not PostgresException)
            {
                await DisposeAsync();
            }
            var message = e is PostgresException refused ? $"{refused.SqlState} {refused.MessageText}" : e.Message;
            return [QueryResult.Error(
                session.Timestamp(withFraction: false), $"ERROR, SQLSTATE: {message.Replace('\n', ' ')}")];
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            await connection.DisposeAsync();
        }
    }

    private async Task<NpgsqlConnection?> ConnectAsync(ClusterSnapshot snapshot, CancellationToken cancellationToken)
    {
        foreach (var member in target.In(snapshot).Where(member => member.Address is not null))
        {
            NpgsqlConnection connection;
            try
            {
                connection = await login.OpenAsync(member.Address!.Value, cancellationToken);
            }
            catch (Exception e) when (e is (NpgsqlException and not PostgresException) or SocketException
                or TimeoutException)
            {
                session.LogNoServer(member.Name, e.Message);
                continue;
            }
            if (await FitsAsync(connection, cancellationToken))
            {
                return connection;
            }
            await connection.DisposeAsync();
        }
        return null;
    }

    /// <summary>The DCS may be behind: whether it is a primary or a standby, the server itself is asked.</summary>
    private async Task<bool> FitsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (target.Role is null or RoleFilter.Any or RoleFilter.Leader)
        {
            return true;
        }
        await using var command = new NpgsqlCommand("SELECT pg_is_in_recovery()", connection);
        return await command.ExecuteScalarAsync(cancellationToken) is true == RoleFilter.IsInRecovery(target.Role);
    }

    private static async Task<List<QueryResult>> ReadAsync(
        NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { AllResultTypesAreUnknown = true };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var results = new List<QueryResult>();
        do
        {
            if (reader.FieldCount == 0)
            {
                continue;
            }
            var types = Enumerable.Range(0, reader.FieldCount).Select(reader.GetDataTypeOID).ToArray();
            var columns =
                types.Select((type, i) =>
                    new Column(reader.GetName(i), s_integers.Contains(type) || s_numbers.Contains(type))).ToArray();
            var rows = new List<JsonNode?[]>();
            while (await reader.ReadAsync(cancellationToken))
            {
                rows.Add([.. types.Select((type, i) => reader.IsDBNull(i) ? null : Value(type, reader.GetString(i)))]);
            }
            results.Add(new QueryResult(columns, rows));
        }
        while (await reader.NextResultAsync(cancellationToken));
        return results;
    }

    private static JsonNode Value(uint type, string text) => type switch
    {
        Boolean => text == "t",
        _ when s_integers.Contains(type) => long.Parse(text, CultureInfo.InvariantCulture),
        // NaN and Infinity are no numbers in JSON; a numeric may be longer than any number type.
        _ when s_numbers.Contains(type) && !text.AsSpan().ContainsAnyExcept(s_ofNumbers) => JsonNode.Parse(text)!,
        _ => text,
    };
}
