using System.Data;
using System.Data.Common;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace Routing.Driver.EntityFrameworkCore;

/// <summary>
/// Tells the data source of writes that were refused as read-only, and of statements that change the database's types.
/// Takes commands along when their context has got another connection: EF Core makes a command before it opens the
/// connection.
/// </summary>
internal sealed class CommandInterceptor(RoutingDataSource source) : DbCommandInterceptor
{
    private static readonly ConditionalWeakTable<RoutingDataSource, CommandInterceptor> s_known = [];

    public static CommandInterceptor For(RoutingDataSource source) =>
        s_known.GetValue(source, static one => new CommandInterceptor(one));

    public override void CommandFailed(DbCommand command, CommandErrorEventData eventData) =>
        Report(command, eventData);

    public override Task CommandFailedAsync(
        DbCommand command, CommandErrorEventData eventData, CancellationToken cancellationToken = default)
    {
        Report(command, eventData);
        return Task.CompletedTask;
    }

    public override InterceptionResult<int> NonQueryExecuting(
        DbCommand command, CommandEventData eventData, InterceptionResult<int> result)
    {
        TakeAlong(command, eventData);
        return result;
    }

    public override ValueTask<InterceptionResult<int>> NonQueryExecutingAsync(
        DbCommand command, CommandEventData eventData, InterceptionResult<int> result,
        CancellationToken cancellationToken = default)
    {
        TakeAlong(command, eventData);
        return ValueTask.FromResult(result);
    }

    public override InterceptionResult<DbDataReader> ReaderExecuting(
        DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result)
    {
        TakeAlong(command, eventData);
        return result;
    }

    public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
        DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result,
        CancellationToken cancellationToken = default)
    {
        TakeAlong(command, eventData);
        return ValueTask.FromResult(result);
    }

    public override InterceptionResult<object> ScalarExecuting(
        DbCommand command, CommandEventData eventData, InterceptionResult<object> result)
    {
        TakeAlong(command, eventData);
        return result;
    }

    public override ValueTask<InterceptionResult<object>> ScalarExecutingAsync(
        DbCommand command, CommandEventData eventData, InterceptionResult<object> result,
        CancellationToken cancellationToken = default)
    {
        TakeAlong(command, eventData);
        return ValueTask.FromResult(result);
    }

    public override int NonQueryExecuted(DbCommand command, CommandExecutedEventData eventData, int result)
    {
        Look(command);
        return result;
    }

    public override ValueTask<int> NonQueryExecutedAsync(
        DbCommand command, CommandExecutedEventData eventData, int result,
        CancellationToken cancellationToken = default)
    {
        Look(command);
        return ValueTask.FromResult(result);
    }

    // A command on a connection that is open is where it should be: the provider's own work goes on connections beside
    // the context's.
    private void TakeAlong(DbCommand command, CommandEventData eventData)
    {
        if (command.Connection is NpgsqlConnection { State: ConnectionState.Closed } before && source.Owns(before)
            && eventData.Context?.Database.GetDbConnection() is NpgsqlConnection now && !ReferenceEquals(before, now))
        {
            command.Connection = now;
        }
    }

    private void Report(DbCommand command, CommandErrorEventData eventData)
    {
        if (command.Connection is NpgsqlConnection connection)
        {
            source.Report(connection, eventData.Exception);
        }
    }

    private void Look(DbCommand command)
    {
        if (command.Connection is NpgsqlConnection connection && command.Parameters.Count == 0
            && ChangesTypes(command.CommandText))
        {
            source.TypesMayHaveChanged(connection);
        }
    }

    /// <summary>
    /// Whether a statement may create types or drop them. A false alarm costs a load of the types, a miss costs an
    /// error.
    /// </summary>
    internal static bool ChangesTypes(string sql)
    {
        return (Has("CREATE") || Has("ALTER") || Has("DROP")) && (Has("TYPE") || Has("DOMAIN") || Has("EXTENSION"));

        bool Has(string word) => sql.Contains(word, StringComparison.OrdinalIgnoreCase);
    }
}
