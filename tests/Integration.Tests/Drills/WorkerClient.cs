using System.Globalization;
using Npgsql;

namespace Routing.Integration.Tests.Drills;

/// <summary>A client of .NET with several workers, each of which writes one row after the other.</summary>
/// <param name="name">Its name in the report.</param>
/// <param name="table">Its table.</param>
/// <param name="workers">How many workers.</param>
internal abstract class WorkerClient(string name, string table, int workers) : DrillClient(name, table)
{
    /// <summary>Writes a row.</summary>
    protected delegate Task WriteAsync(long number);

    public override async Task RunAsync(DrillPlace place, CancellationToken enough)
    {
        // The first that fails ends them all, and says why.
        using var over = CancellationTokenSource.CreateLinkedTokenSource(enough);
        var working = Enumerable.Range(1, workers).Select(worker => Task.Run(() => WorkAsync(place, worker, over)))
            .ToList();
        Acknowledged = (await Task.WhenAll(working)).Sum();
    }

    /// <summary>The work of one worker.</summary>
    /// <param name="place">Where to.</param>
    /// <param name="worker">The worker's name.</param>
    /// <param name="loopAsync">Calls back for one row after the other, until it has been enough.</param>
    protected abstract Task WorkAsync(DrillPlace place, string worker, Func<WriteAsync, Task> loopAsync);

    /// <summary>What the workers share is gone. After their end.</summary>
    protected static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>A row by a statement of its own, each fourth one in a transaction of several statements.</summary>
    protected async Task InsertAsync(NpgsqlConnection connection, string worker, long number)
    {
        await using var transaction = number % 4 == 0 ? await connection.BeginTransactionAsync() : null;
        await using var insert = new NpgsqlCommand($"INSERT INTO {Table} VALUES ($1, $2)", connection, transaction)
        {
            Parameters = { new() { Value = worker }, new() { Value = number } },
        };
        await insert.ExecuteNonQueryAsync();
        if (transaction is not null)
        {
            await using var select = new NpgsqlCommand("SELECT 1", connection, transaction);
            await select.ExecuteScalarAsync();
            await transaction.CommitAsync();
        }
    }

    private async Task<long> WorkAsync(DrillPlace place, int worker, CancellationTokenSource over)
    {
        var acknowledged = 0L;
        try
        {
            await WorkAsync(
                place, string.Create(CultureInfo.InvariantCulture, $"w{worker}"),
                async writeAsync =>
                {
                    var pace = Pauses.Begin();
                    while (!over.IsCancellationRequested)
                    {
                        await writeAsync(acknowledged + 1);
                        acknowledged++;
                        pace.Answered();
                    }
                });
            return acknowledged;
        }
        catch
        {
            await over.CancelAsync();
            throw;
        }
    }
}
