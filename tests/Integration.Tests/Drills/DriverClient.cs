using Microsoft.EntityFrameworkCore;
using Npgsql;
using Routing.Driver;

namespace Routing.Integration.Tests.Drills;

/// <summary>The driver, straight to the members: its connections, its units of work, or EF Core.</summary>
/// <param name="way">How it is used.</param>
internal sealed class DriverClient(DriverWay way)
    : WorkerClient(NameOf(way), $"drill_driver_{(int)way}", workers: 4)
{
    private RoutingDataSource? _source;

    public override async Task RunAsync(DrillPlace place, CancellationToken enough)
    {
        await using var source = RoutingDataSource.Create(
            $"Cluster={place.Cluster.Scope};Etcd={place.Cluster.Etcd.Endpoint.Authority};Database=postgres;"
            + $"Open Timeout=120;{DrillPlace.Login}");
        _source = source;
        await base.RunAsync(place, enough);
    }

    protected override Task WorkAsync(DrillPlace place, string worker, Func<WriteAsync, Task> loopAsync) => way switch
    {
        DriverWay.Connections => loopAsync(async number =>
        {
            await using var connection = await _source!.OpenConnectionAsync();
            await InsertAsync(connection, worker, number);
        }),
        DriverWay.UnitsOfWork => loopAsync(async number =>
        {
            var runs = 0;
            await _source!.RunAsync(async (transaction, token) =>
            {
                runs++;
                await using var insert = new NpgsqlCommand(
                    $"INSERT INTO {Table} VALUES ($1, $2)", transaction.Connection, transaction)
                {
                    Parameters = { new() { Value = worker }, new() { Value = number } },
                };
                await insert.ExecuteNonQueryAsync(token);
            });
            Assert.Equal(1, runs);   // nothing had to be repeated
        }),
        _ => WorkWithContextsAsync(worker, loopAsync),
    };

    // Without EnableRetryOnFailure: an exception would be seen.
    private Task WorkWithContextsAsync(string worker, Func<WriteAsync, Task> loopAsync)
    {
        var options = new DbContextOptionsBuilder<DrillContext>().UseNpgsql(_source!).UseRouting(_source!).Options;
        return loopAsync(async number =>
        {
            await using var context = new DrillContext(options, Table);
            await using var transaction = number % 4 == 0 ? await context.Database.BeginTransactionAsync() : null;
            context.Add(new DrillRow { Worker = worker, Number = number });
            await context.SaveChangesAsync();
            if (transaction is not null)
            {
                await transaction.CommitAsync();
            }
        });
    }

    private static string NameOf(DriverWay way) => way switch
    {
        DriverWay.Connections => "the driver, connections",
        DriverWay.UnitsOfWork => "the driver, units of work",
        _ => "EF Core with UseRouting",
    };
}

/// <summary>How the driver is used.</summary>
internal enum DriverWay
{
    Connections,
    UnitsOfWork,
    EntityFramework,
}

/// <summary>A row.</summary>
internal sealed class DrillRow
{
    public string Worker { get; set; } = "";

    public long Number { get; set; }
}

/// <summary>The table of the client of EF Core.</summary>
internal sealed class DrillContext(DbContextOptions<DrillContext> options, string table) : DbContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        var row = modelBuilder.Entity<DrillRow>().ToTable(table);
        row.HasKey(one => new { one.Worker, one.Number });
        row.Property(one => one.Worker).HasColumnName("worker");
        row.Property(one => one.Number).HasColumnName("n").ValueGeneratedNever();
    }
}
