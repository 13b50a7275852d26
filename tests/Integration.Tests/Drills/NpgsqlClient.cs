using Npgsql;

namespace Routing.Integration.Tests.Drills;

/// <summary>Npgsql through the proxy.</summary>
/// <param name="name">Its name in the report.</param>
/// <param name="table">Its table.</param>
/// <param name="workers">How many workers.</param>
/// <param name="settings">More of Npgsql's settings.</param>
/// <param name="keepsOne">Each worker keeps one connection for all its rows, instead of opening one for each.</param>
internal sealed class NpgsqlClient(string name, string table, int workers, string settings, bool keepsOne = false)
    : WorkerClient(name, table, workers)
{
    /// <summary>A connection for each worker.</summary>
    public static NpgsqlClient Kept =>
        new("Npgsql, kept connections", "drill_kept", 4, "Pooling=false", keepsOne: true);

    /// <summary>A connection for each row.</summary>
    public static NpgsqlClient Plain => new("Npgsql, a connection for each row", "drill_plain", 4, "Pooling=false");

    /// <summary>A pool, which resets each session with DISCARD ALL.</summary>
    public static NpgsqlClient Pooled => new("Npgsql, pool", "drill_pool", 8, "Maximum Pool Size=4");

    /// <summary>A pool whose sessions keep prepared statements.</summary>
    public static NpgsqlClient Preparing => new(
        "Npgsql, pool, auto prepare", "drill_prepare", 8,
        "Maximum Pool Size=4;Max Auto Prepare=10;Auto Prepare Min Usages=2");

    private NpgsqlDataSource? _source;

    public override async Task RunAsync(DrillPlace place, CancellationToken enough)
    {
        await using var source = NpgsqlDataSource.Create($"{place.ConnectionString};{settings}");
        _source = source;
        await base.RunAsync(place, enough);
    }

    protected override async Task WorkAsync(DrillPlace place, string worker, Func<WriteAsync, Task> loopAsync)
    {
        await using var kept = keepsOne ? await _source!.OpenConnectionAsync() : null;
        await loopAsync(async number =>
        {
            await using var own = kept is null ? await _source!.OpenConnectionAsync() : null;
            await InsertAsync(kept ?? own!, worker, number);
        });
    }
}
