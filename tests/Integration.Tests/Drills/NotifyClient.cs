using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>
/// Workers that notify, and sessions that listen: each of these has to hear of each notification once.
/// </summary>
internal sealed class NotifyClient() : WorkerClient("LISTEN and NOTIFY", "drill_notify", workers: 4)
{
    private const int Listeners = 3;
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);
    private readonly ConcurrentDictionary<string, int>[] _heard =
        [.. Enumerable.Range(0, Listeners).Select(_ => new ConcurrentDictionary<string, int>())];

    public override async Task RunAsync(DrillPlace place, CancellationToken enough)
    {
        using var deaf = new CancellationTokenSource();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(enough);
        var listeners = new List<Task>();
        foreach (var heard in _heard)
        {
            var connection = new NpgsqlConnection($"{place.ConnectionString};Pooling=false");
            await connection.OpenAsync(CancellationToken.None);
            connection.Notification += (_, news) => heard.AddOrUpdate(news.Payload, 1, static (_, times) => times + 1);
            await RunAsync(connection, "LISTEN \"Drill news\"");
            listeners.Add(ListenAsync(connection, over, deaf.Token));
        }
        try
        {
            await base.RunAsync(place, over.Token);
            // All that was told of is committed; the last ones may be on their way.
            await WaitUntil.TrueAsync(
                () => _heard.All(heard => heard.Count >= Acknowledged) || listeners.Any(one => one.IsCompleted),
                s_patience, $"each session has heard all {Acknowledged} notifications: "
                + string.Join(", ", _heard.Select(heard => heard.Count)));
        }
        catch (TimeoutException) when (listeners.All(one => !one.IsCompleted))
        {
            // What is missing is named at the end.
        }
        finally
        {
            await deaf.CancelAsync();
            await Task.WhenAll(listeners);
        }
    }

    public override async Task VerifyAsync(TestNode leader)
    {
        await base.VerifyAsync(leader);
        foreach (var heard in _heard)
        {
            Assert.Empty(heard.Where(one => one.Value != 1).Select(one => $"{one.Key} came {one.Value} times"));
            Assert.Equal(Acknowledged, heard.Count);
        }
    }

    protected override async Task WorkAsync(DrillPlace place, string worker, Func<WriteAsync, Task> loopAsync)
    {
        await using var connection = new NpgsqlConnection($"{place.ConnectionString};Pooling=false");
        await connection.OpenAsync();
        // The row and its notification are one transaction.
        await using var notify = new NpgsqlCommand(
            $"WITH row AS (INSERT INTO {Table} VALUES ($1, $2)) SELECT pg_notify('Drill news', $3)", connection);
        await loopAsync(async number =>
        {
            notify.Parameters.Clear();
            notify.Parameters.Add(new() { Value = worker });
            notify.Parameters.Add(new() { Value = number });
            notify.Parameters.Add(
                new() { Value = string.Create(CultureInfo.InvariantCulture, $"{worker}:{number}") });
            await notify.ExecuteNonQueryAsync();
        });
    }

    private static async Task ListenAsync(
        NpgsqlConnection connection, CancellationTokenSource over, CancellationToken deaf)
    {
        await using (connection)
        {
            try
            {
                while (true)
                {
                    await connection.WaitAsync(deaf);
                }
            }
            catch (OperationCanceledException) when (deaf.IsCancellationRequested)
            {
                // It has heard enough.
            }
            catch
            {
                await over.CancelAsync();
                throw;
            }
        }
    }
}
