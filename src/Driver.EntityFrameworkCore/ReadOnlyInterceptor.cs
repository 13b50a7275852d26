using System.Data.Common;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace Routing.Driver.EntityFrameworkCore;

/// <summary>Tells the data source of writes that were refused as read-only.</summary>
internal sealed class ReadOnlyInterceptor(RoutingDataSource source) : DbCommandInterceptor
{
    private static readonly ConditionalWeakTable<RoutingDataSource, ReadOnlyInterceptor> s_known = [];

    public static ReadOnlyInterceptor For(RoutingDataSource source) =>
        s_known.GetValue(source, static one => new ReadOnlyInterceptor(one));

    public override void CommandFailed(DbCommand command, CommandErrorEventData eventData) =>
        Report(command, eventData);

    public override Task CommandFailedAsync(
        DbCommand command, CommandErrorEventData eventData, CancellationToken cancellationToken = default)
    {
        Report(command, eventData);
        return Task.CompletedTask;
    }

    private void Report(DbCommand command, CommandErrorEventData eventData)
    {
        if (command.Connection is NpgsqlConnection connection)
        {
            source.Report(connection, eventData.Exception);
        }
    }
}
