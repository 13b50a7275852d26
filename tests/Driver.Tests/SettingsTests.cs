using System.Data.Common;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using Routing.Driver.Settings;
using Routing.Driver.Topology;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>The string, the options, and what dependency injection makes of them.</summary>
public sealed class SettingsTests
{
    private const string Text =
        "Cluster=orders;Etcd=10.0.0.1:2379,10.0.0.2;Target Session "
            + "Attributes=prefer-standby;Database=shop;Username=app;Password=secret";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void One_string_says_everything()
    {
        var options = RoutingConnectionString.Parse(
            Text
                + ";Open Timeout=2.5;Timeout=1;MaximumLagBytes=1000;Zone=near;Required Tags=disk: ssd, rack:1;Read "
                + "Fallback=when-empty;Read Policy=round-robin");

        Assert.Equal("orders", options.Cluster);
        Assert.Equal(["10.0.0.1:2379", "10.0.0.2"], options.Etcd);
        Assert.Equal(TargetSessionAttributes.PreferStandby, options.Target);
        Assert.Equal((2.5, 1, 1000L),
            (options.OpenTimeout.TotalSeconds, options.ConnectTimeout.TotalSeconds, options.MaximumLagBytes));
        Assert.Equal(("near", ReadFallback.WhenEmpty, ReadPolicy.RoundRobin),
            (options.Zone, options.ReadFallback, options.ReadPolicy));
        Assert.Equal("ssd", options.RequiredTags["disk"]);
        Assert.Equal("shop", new NpgsqlConnectionStringBuilder(options.ConnectionString).Database);
    }

    [Fact]
    public void A_password_in_an_address_does_not_get_into_the_message()
    {
        var wrong = Assert.ThrowsAny<Exception>(
            () => RoutingDataSource.Create("Cluster=orders;Etcd=http://root:hunter2@10.0.0.1:2379"));

        Assert.DoesNotContain("hunter2", wrong.ToString(), StringComparison.Ordinal);
        Assert.Contains("10.0.0.1", wrong.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Etcd=10.0.0.1", "Cluster is missing")]
    [InlineData("Cluster=orders", "Etcd is missing")]
    [InlineData("Cluster=orders;Topology=rest;Etcd=10.0.0.1", "Rest is missing")]
    [InlineData("Cluster=orders;Etcd=10.0.0.1:0", "'10.0.0.1:0'")]
    [InlineData("Cluster=orders;Etcd=10.0.0.1;Host=db1", "'host'")]
    [InlineData("Cluster=orders;Etcd=10.0.0.1;Colour=red", "colour")]
    [InlineData("Cluster=orders;Etcd=10.0.0.1;Target Session Attributes=nearest", "'nearest'")]
    [InlineData("Cluster=orders;Etcd=10.0.0.1;Open Timeout=soon", "'soon'")]
    [InlineData("Cluster=orders;Etcd=10.0.0.1;Open Timeout=0", "OpenTimeout")]
    public void What_is_wrong_is_named(string text, string expected)
    {
        var problem = Assert.ThrowsAny<ArgumentException>(() => RoutingDataSource.Create(text));

        Assert.Contains(expected, problem.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Passwords_are_not_shown_and_one_watch_serves_all_sources_of_a_cluster()
    {
        var before = SharedTopology.Count;
        await using (var first = RoutingDataSource.Create(Text + ";Etcd Password=hidden;Etcd Username=e"))
        {
            await using var second =
                RoutingDataSource.Create(Text + ";Etcd Password=hidden;Etcd Username=e;Database=other");
            await using var third = RoutingDataSource.Create(Text.Replace("orders", "bills", StringComparison.Ordinal));

            Assert.Equal(before + 2, SharedTopology.Count);
            Assert.DoesNotContain("secret", first.ConnectionString, StringComparison.Ordinal);
            Assert.DoesNotContain("secret", first.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain("hidden", first.ToString(), StringComparison.Ordinal);
            Assert.Contains("orders", first.ToString(), StringComparison.Ordinal);
            // Npgsql's own, for whoever reads it
            Assert.Equal("shop", new NpgsqlConnectionStringBuilder(first.ConnectionString).Database);
        }
        Assert.Equal(before, SharedTopology.Count);
    }

    [Fact]
    public async Task A_host_gets_sources_by_key_from_its_configuration()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Orders:Cluster"] = "orders",
            ["Orders:Etcd:0"] = "127.0.0.1:1",
            ["Orders:OpenTimeout"] = "00:00:00.2",
            ["Orders:Target"] = "ReadWrite",
            ["Orders:RequiredTags:disk"] = "ssd",
            ["Orders:ConnectionString"] = "Database=shop",
        });
        builder.Services.AddRoutingDataSource(builder.Configuration.GetSection("Orders"));
        builder.Services.AddRoutingDataSource(options =>
        {
            options.Cluster = "bills";
            options.Etcd.Add("127.0.0.1:1");
        }, name: "bills");
        builder.Services.AddHealthChecks().AddRoutingDataSource(timeout: TimeSpan.FromSeconds(30));
        using var host = builder.Build();
        await host.StartAsync(Cancellation);

        var source = host.Services.GetRequiredService<RoutingDataSource>();
        var read = host.Services.GetRequiredKeyedService<DbDataSource>(RoutingServiceKeys.Read);
        var other = host.Services.GetRequiredKeyedService<RoutingDataSource>(
            RoutingServiceKeys.Of("bills", RoutingServiceKeys.Write));
        using var scope = host.Services.CreateScope();
        var causal = scope.ServiceProvider.GetRequiredService<CausalDataSource>();
        await WaitUntil.TrueAsync(() => source.Topology.Problem is not null);
        var health = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(Cancellation);

        Assert.Same(source, host.Services.GetRequiredService<DbDataSource>());
        Assert.Equal(TargetSessionAttributes.ReadWrite, source.Target);
        Assert.Equal(TargetSessionAttributes.PreferStandby, Assert.IsType<RoutingDataSource>(read).Target);
        Assert.Same(source.Router, ((RoutingDataSource)read).Router);
        Assert.Equal("bills", other.Topology.Cluster);
        Assert.Same(causal, scope.ServiceProvider.GetRequiredKeyedService<DbDataSource>(RoutingServiceKeys.Causal));
        Assert.Equal(HealthStatus.Unhealthy, health.Status);
        Assert.Contains("has not answered yet (http://127.0.0.1:1: connection refused)",
            health.Entries["postgresql"].Description, StringComparison.Ordinal);
        await host.StopAsync(Cancellation);
    }

    [Fact]
    public void A_section_takes_what_the_string_takes()
    {
        var options = Section(
            ("Cluster", "orders"), ("Etcd", "10.0.0.1:2379, 10.0.0.2"), ("Target", "prefer-standby"),
            ("OpenTimeout", "5"), ("ConnectTimeout", "90"),
            ("Causal Wait", "00:00:02"), ("ReadPolicy", "round_robin"), ("required tags", "disk:ssd"),
            ("RequiredTags:rack", "1"),
            ("ConnectionString", "Database=shop;Username=app"), ("Maximum Pool Size", "7"), ("Database", "other"),
            ("Multiplexing", "false"));

        RoutingConnectionString.Check(options);
        Assert.Equal(["10.0.0.1:2379", "10.0.0.2"], options.Etcd);
        Assert.Equal((TargetSessionAttributes.PreferStandby, ReadPolicy.RoundRobin),
            (options.Target, options.ReadPolicy));
        Assert.Equal((5, 90, 2),
            (options.OpenTimeout.TotalSeconds, options.ConnectTimeout.TotalSeconds, options.CausalWait.TotalSeconds));
        Assert.Equal("1", options.RequiredTags["rack"]);
        var npgsql = new NpgsqlConnectionStringBuilder(options.ConnectionString);
        Assert.Equal(("other", "app", 7), (npgsql.Database, npgsql.Username, npgsql.MaxPoolSize));
    }

    [Theory]
    [InlineData("Colour", "red", "Colour: It is no setting")]
    [InlineData("Etdc", "10.0.0.1", "Etdc: It is no setting")]
    [InlineData("OpenTimeout", "soon", "OpenTimeout: The value 'soon'")]
    [InlineData("OpenTimeout:Seconds", "5", "OpenTimeout: It must be one value")]
    [InlineData("Target", "nearest", "Target: The value 'nearest'")]
    [InlineData("Host", "db1", "'host'")]
    [InlineData("Multiplexing", "true", "'Multiplexing'")]
    public void What_a_section_says_in_vain_is_refused_by_its_name(string key, string value, string expected)
    {
        var options = Section(("Cluster", "orders"), ("Etcd:0", "10.0.0.1"), (key, value));

        var refused = Assert.Throws<ArgumentException>(() => RoutingConnectionString.Check(options));

        Assert.Contains(expected, refused.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("Timeout=0", 10)]
    [InlineData("Timeout=90", 90)]
    [InlineData("Multiplexing=false", 10)]
    public async Task Settings_of_an_application_that_comes_from_Npgsql_are_accepted(string more, int npgsqlTimeout)
    {
        using var topology = new PretendTopology();
        var parsed = RoutingConnectionString.Parse($"Cluster=orders;Etcd=10.0.0.1;{more}");
        var source = topology.Build(options =>
        {
            (options.ConnectTimeout, options.OpenTimeout) = (parsed.ConnectTimeout, parsed.OpenTimeout);
            options.ConnectionString += $";{parsed.ConnectionString}";
        });
        topology.Lead("a");

        await using var connection = await source.OpenConnectionAsync(Cancellation);

        Assert.Equal(npgsqlTimeout, connection.ConnectionTimeout);
    }

    private static RoutingOptions Section(params (string Key, string? Value)[] entries)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(entries.ToDictionary(
                entry => $"Orders:{entry.Key}", entry => entry.Value, StringComparer.Ordinal)).Build();
        var options = new RoutingOptions();
        RoutingSection.Read(configuration.GetSection("Orders"), options);
        return options;
    }

    [Fact]
    public async Task Wrong_options_stop_the_host_at_its_start()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddRoutingDataSource(options => options.OpenTimeout = TimeSpan.Zero);
        using var host = builder.Build();

        var refused = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Cancellation));

        Assert.Contains(refused.Failures, failure => failure.Contains("Cluster is missing", StringComparison.Ordinal));
        Assert.Contains(refused.Failures, failure => failure.Contains("OpenTimeout", StringComparison.Ordinal));
    }
}
