using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>Contexts of EF Core on a topology of pretend servers.</summary>
public sealed class EntityFrameworkTests : IDisposable
{
    private readonly PretendTopology _topology = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _topology.Dispose();

    [Fact]
    public async Task A_query_s_text_needs_no_etcd()
    {
        await using var source =
            RoutingDataSource.Create("Cluster=orders;Etcd=127.0.0.1:1;Open Timeout=60;Database=shop");
        await using var context = new Context(Options(source));
        var began = Stopwatch.GetTimestamp();

        var text = context.Things.Where(thing => thing.Id > 5).ToQueryString();

        Assert.Contains("WHERE", text, StringComparison.Ordinal);
        Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(20));   // not the time for an open
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_context_made_before_anything_was_known_is_opened_where_it_should_be(bool isAsync)
    {
        var source = _topology.Build();
        await using var context = new Context(Options(source));
        Assert.NotNull(context.Database.GetDbConnection());
        _topology.Lead("b");

        await RunAsync(context, isAsync);

        Assert.Equal(1, Writes("b"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_from_elsewhere_is_left_alone(bool isAsync)
    {
        var source = _topology.Build();
        _topology.Lead("a");
        await using var context = new Context(Options(source));
        await RunAsync(context, isAsync);
        await using var other = new NpgsqlConnection(Bare("c"));

        context.Database.SetDbConnection(other);
        await RunAsync(context, isAsync);
        Assert.Same(other, context.Database.GetDbConnection());
        await using var second = new Context(Options(source));
        second.Database.SetConnectionString(Bare("c"));
        await RunAsync(second, isAsync);
        await using var third = new Context(Options(source));
        Assert.NotNull(third.Database.GetDbConnection());
        third.Database.SetConnectionString(Bare("c"));
        await RunAsync(third, isAsync);

        Assert.Equal((1, 3), (Writes("a"), Writes("c")));
    }

    [Fact]
    public async Task What_a_pooled_context_gives_to_Dapper_follows_the_leader()
    {
        var source = _topology.Build();
        _topology.Lead("a");
        await using var provider = new ServiceCollection()
            .AddDbContextPool<Context>(options => options.UseNpgsql(source).UseRouting(source), poolSize: 1)
                .BuildServiceProvider();
        await using (var scope = provider.CreateAsyncScope())
        {
            await RunAsync(scope.ServiceProvider.GetRequiredService<Context>(), isAsync: true);
        }

        _topology.Lead("b");
        await WaitUntil.TrueAsync(() => source.Topology.Leader == "b");

        await using (var scope = provider.CreateAsyncScope())
        {
            var connection = scope.ServiceProvider.GetRequiredService<Context>().Database.GetDbConnection();
            await connection.OpenAsync(Cancellation);   // as Dapper does, without EF Core
            Assert.Equal(_topology["b"].Port, ((NpgsqlConnection)connection).Port);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_connection_stays_the_same_object_while_its_member_is_right(bool isAsync)
    {
        var source = _topology.Build();
        _topology.Lead("a");
        await using var context = new Context(Options(source));
        await RunAsync(context, isAsync);
        var own = context.Database.GetDbConnection();

        await RunAsync(context, isAsync);

        Assert.Same(own, context.Database.GetDbConnection());
        Assert.Equal(1, _topology["a"].Logins);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_context_before_a_full_pool_waits(bool isAsync)
    {
        var source = _topology.Build(options =>
        {
            options.ConnectionString += ";Maximum Pool Size=1";
            options.OpenTimeout = TimeSpan.FromSeconds(60);
        });
        _topology.Lead("a");
        var first = await source.OpenConnectionAsync(Cancellation);
        await using var context = new Context(Options(source));

        var running = Task.Factory.StartNew(() => RunAsync(context, isAsync), Cancellation,
            TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
        // twice the time for silence
        await Task.WhenAny(running, Task.Delay(TimeSpan.FromSeconds(2.5), TimeProvider.System, Cancellation));
        Assert.False(running.IsCompleted);
        await first.DisposeAsync();
        await running;

        Assert.Equal(1, Writes("a"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_reader_s_context_goes_elsewhere_when_its_member_is_silent(bool isAsync)
    {
        var source = _topology.Build(options => options.OpenTimeout = TimeSpan.FromSeconds(60))
            .WithTarget(TargetSessionAttributes.Standby);
        _topology.Lead("a");
        await using var context = new Context(Options(source));
        await RunAsync(context, isAsync);
        var port = new NpgsqlConnectionStringBuilder(context.Database.GetDbConnection().ConnectionString).Port;
        var name = _topology["b"].Port == port ? "b" : "c";
        source.Clear();
        _topology[name].IsSilent = true;
        Assert.Equal((1, 0), (Writes(name), Writes(name == "b" ? "c" : "b")));

        await RunAsync(context, isAsync);
        await RunAsync(context, isAsync);

        Assert.Equal((1, 2), (Writes(name), Writes(name == "b" ? "c" : "b")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_context_that_was_opened_by_hand_goes_on_after_a_failover(bool isAsync)
    {
        var source = _topology.Build();
        _topology.Lead("a");
        await using var context = new Context(Options(source));
        await context.Database.OpenConnectionAsync(Cancellation);
        await RunAsync(context, isAsync);
        _topology["a"].Answer = _ => Reply.Lost;
        await Assert.ThrowsAnyAsync<Exception>(() => RunAsync(context, isAsync));

        _topology.Lead("b");
        await WaitUntil.TrueAsync(() => source.Topology.Leader == "b");
        await RunAsync(context, isAsync);
        await context.Database.CloseConnectionAsync();
        await RunAsync(context, isAsync);

        Assert.Equal(2, Writes("b"));
        Assert.Equal(System.Data.ConnectionState.Closed, context.Database.GetDbConnection().State);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task When_nobody_can_be_had_the_context_may_try_again(bool isAsync)
    {
        var source = _topology.Build(options => options.OpenTimeout = TimeSpan.FromSeconds(1.5));
        _topology.Lead("a");
        await using var context = new Context(Options(source));
        await RunAsync(context, isAsync);
        source.Clear();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _topology["a"].LoginsWait = gate.Task;
        await Assert.ThrowsAsync<NoHostException>(() => RunAsync(context, isAsync));   // its login goes on

        gate.SetResult();
        await RunAsync(context, isAsync);

        Assert.Equal(2, Writes("a"));
    }

    [Fact]
    public void UseRouting_ahead_of_the_provider_is_refused()
    {
        var source = _topology.Build();

        var refused = Assert.Throws<InvalidOperationException>(
            () => new Context(new DbContextOptionsBuilder<Context>().UseRouting(source).UseNpgsql(source).Options));

        Assert.Contains("UseNpgsql(source).UseRouting(source)", refused.Message, StringComparison.Ordinal);
    }

    private static DbContextOptions<Context> Options(RoutingDataSource source) =>
        new DbContextOptionsBuilder<Context>().UseNpgsql(source).UseRouting(source).Options;

    private static async Task RunAsync(Context context, bool isAsync)
    {
        const string sql = "INSERT INTO things VALUES (1)";
        if (isAsync)
        {
            await context.Database.ExecuteSqlRawAsync(sql, Cancellation);
        }
        else
        {
            context.Database.ExecuteSqlRaw(sql);
        }
    }

    private string Bare(string name) =>
        $"Host=127.0.0.1;Port={_topology[name].Port};Username=u;Database=d;SSL Mode=Disable;Server Compatibility "
            + "Mode=NoTypeLoading";

    private int Writes(string name) =>
        _topology[name].Statements.Count(sql => sql.StartsWith("INSERT", StringComparison.Ordinal));

    private sealed class Context(DbContextOptions<Context> options) : DbContext(options)
    {
        public DbSet<Thing> Things => Set<Thing>();
    }

    private sealed class Thing
    {
        public long Id { get; set; }
    }
}
