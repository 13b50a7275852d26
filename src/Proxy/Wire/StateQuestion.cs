using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Routing.Proxy.Wire;

/// <summary>The question for what a session holds, put in that very session, and its answer.</summary>
/// <remarks>
/// It is asked in the extended protocol under a name of its own, so that the client's unnamed statement stays. Whatever
/// the session has set, it means the same: every function, type and operator is qualified, and all columns are text.
/// </remarks>
internal static class StateQuestion
{
    /// <summary>The most bytes of an answer.</summary>
    public const int Longest = 1024 * 1024;

    /// <summary>The name of the proxy's own statements.</summary>
    public static ReadOnlySpan<byte> Name => "routing-proxy"u8;

    // Rows of (kind, name, text, types). Languages 12 and 13 are internal and C; 2078 is set_config in a body that is
    // kept as a tree; 2615 is pg_namespace, whose dependents are all that a schema of temporary objects holds.
    private static ReadOnlySpan<byte> Text => """
        SELECT 'role'::pg_catalog.text, SESSION_USER::pg_catalog.text, pg_catalog.current_setting('role'),
               NULL::pg_catalog.text
        UNION ALL
        SELECT 'setting', s.name, s.setting, NULL FROM pg_catalog.pg_settings s
         WHERE s.source OPERATOR(pg_catalog.=) 'session'
        UNION ALL
        SELECT CASE WHEN p.from_sql THEN 'command' ELSE 'statement' END, p.name, p.statement,
               p.parameter_types::pg_catalog.oid[]::pg_catalog.text
          FROM pg_catalog.pg_prepared_statements p WHERE p.name OPERATOR(pg_catalog.<>) 'routing-proxy'
        UNION ALL
        SELECT 'channel', pg_catalog.quote_ident(c), NULL, NULL FROM pg_catalog.pg_listening_channels() c
        UNION ALL
        SELECT 'held_cursors', NULL, NULL, NULL WHERE EXISTS (
               SELECT FROM pg_catalog.pg_cursors c WHERE c.is_holdable)
        UNION ALL
        SELECT 'temporary_objects', NULL, NULL, NULL WHERE EXISTS (
               SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=) 2615::pg_catalog.oid
                  AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
        UNION ALL
        SELECT 'advisory_locks', NULL, NULL, NULL WHERE EXISTS (
               SELECT FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'
                  AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())
        UNION ALL
        SELECT 'extension', NULL, NULL, NULL WHERE EXISTS (
               SELECT FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'dblink')
        UNION ALL
        SELECT 'functions', NULL, NULL, NULL WHERE EXISTS (
               SELECT FROM pg_catalog.pg_proc f WHERE f.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
                  AND f.prolang OPERATOR(pg_catalog.<>) ALL (ARRAY[12, 13]::pg_catalog.oid[])
                  AND (f::pg_catalog.text OPERATOR(pg_catalog.~*)
                         'set_config|funcid 2078|\mset\s+((session|local)\s+)?["\w]+\s*\.'
                       OR f::pg_catalog.text OPERATOR(pg_catalog.~) '_SHARED|\mGD\M'))
        """u8;

    /// <summary>Writes the question.</summary>
    public static void Write(IBufferWriter<byte> output)
    {
        ClientMessage.WriteClose(output, Name);   // one that was given up may have left its statement
        ClientMessage.WriteParse(output, Name, Text, []);
        ClientMessage.WriteRun(output, Name);
        ClientMessage.WriteClose(output, Name);
        ClientMessage.WriteSync(output);
    }

    /// <summary>Makes a state of the rows.</summary>
    /// <param name="rows">The bodies of the DataRow messages.</param>
    /// <param name="user">The user by whom the session has logged in.</param>
    /// <returns>Null: they are no answer to this question.</returns>
    public static SessionState? Read(IEnumerable<byte[]> rows, string user)
    {
        StateObstacle? obstacle = null;
        byte[]? role = null;
        List<(byte[], byte[])> settings = [];
        List<PreparedStatement> statements = [];
        List<byte[]> channels = [];
        foreach (var row in rows)
        {
            if (Columns(row) is not [{ } kind, var name, var text, var types])
            {
                return null;
            }
            switch (Encoding.ASCII.GetString(kind), name, text, types)
            {
                case ("role", { } asUser, { } asRole, _):
                    role = asRole;
                    obstacle = asUser.AsSpan().SequenceEqual(Encoding.UTF8.GetBytes(user))
                        ? obstacle
                        : StateObstacle.SessionAuthorization;
                    break;
                case ("setting", { } setting, { } value, _):
                    settings.Add((setting, value));
                    break;
                case ("command" or "statement", { } statement, { } source, { } list) when TypesOf(list) is { } all:
                    statements.Add(new PreparedStatement(statement, source, all, kind[0] == 'c'));
                    break;
                case ("channel", { } channel, _, _):
                    channels.Add(channel);
                    break;
                case (var other, null, _, _) when ObstacleOf(other) is { } found:
                    obstacle ??= found;
                    break;
                default:
                    return null;
            }
        }
        return role is null
            ? null
            : new SessionState { Role = role, Obstacle = obstacle, Settings = settings, Statements = statements,
                Channels = channels };
    }

    private static StateObstacle? ObstacleOf(string kind) => kind switch
    {
        "held_cursors" => StateObstacle.HeldCursors,
        "temporary_objects" => StateObstacle.TemporaryObjects,
        "advisory_locks" => StateObstacle.AdvisoryLocks,
        "extension" => StateObstacle.Extension,
        "functions" => StateObstacle.Functions,
        _ => null,
    };

    // Such as {23,25}.
    private static uint[]? TypesOf(byte[] list)
    {
        if (list is not [(byte)'{', .. var inner, (byte)'}'])
        {
            return null;
        }
        if (inner.Length == 0)
        {
            return [];
        }
        var parts = Encoding.ASCII.GetString(inner).Split(',');
        var types = new uint[parts.Length];
        for (var at = 0; at < parts.Length; at++)
        {
            if (!uint.TryParse(parts[at], out types[at]))
            {
                return null;
            }
        }
        return types;
    }

    private static byte[]?[] Columns(ReadOnlySpan<byte> row)
    {
        if (row.Length < sizeof(short))
        {
            return [];
        }
        var columns = new byte[]?[BinaryPrimitives.ReadUInt16BigEndian(row)];
        row = row[sizeof(short)..];
        for (var at = 0; at < columns.Length; at++)
        {
            if (row.Length < sizeof(int))
            {
                return [];
            }
            var length = BinaryPrimitives.ReadInt32BigEndian(row);
            row = row[sizeof(int)..];
            if (length > row.Length)
            {
                return [];
            }
            if (length >= 0)
            {
                columns[at] = row[..length].ToArray();
                row = row[length..];
            }
        }
        return columns;
    }
}
