using System.Text;
using System.Text.Json.Nodes;
using Routing.Agent.Config;
using Routing.Agent.Events;
using Routing.Agent.Rest;
using Routing.Cluster;

namespace Routing.Agent.Tests.Rest;

/// <summary>The OpenAPI document says what the interface does.</summary>
public sealed class OpenApiTests
{
    private static readonly OpenApiDocument s_document =
        OpenApiDocument.Parse(Encoding.UTF8.GetString(OpenApi.Document.Span));

    [Fact]
    public void Every_route_stands_in_the_document_and_every_operation_there_is_a_route_or_a_health_check()
    {
        var routes = RestHandler.Routes.All.Select(route => (route.Method, Path: $"/{route.Word}")).ToHashSet();

        var operations = s_document.Operations.Keys.ToHashSet();

        Assert.Empty(routes.Except(operations));
        var others = operations.Except(routes).GroupBy(operation => operation.Path)
            .ToDictionary(path => path.Key, path => path.Select(one => one.Method).Order(StringComparer.Ordinal));
        Assert.All(others.Values, methods => Assert.Equal(["GET", "HEAD", "OPTIONS"], methods));
    }

    /// <summary>A path that no rule knows answers 503 on every member.</summary>
    [Fact]
    public async Task Each_health_check_of_the_document_passes_on_some_member()
    {
        var words = RestHandler.Routes.All.Select(route => $"/{route.Word}").ToHashSet();
        var checks = s_document.Operations.Keys.Where(one => one.Method == "GET" && !words.Contains(one.Path))
            .Select(one => one.Path).ToHashSet();
        Assert.NotEmpty(checks);

        foreach (var letter in Nodes.ByLetter.Keys)
        {
            await using var host = await RestHost.StartAsync(Nodes.ByLetter[letter]);
            foreach (var path in checks.ToArray())
            {
                var (code, problem) = await AskAsync(host, "GET", path);
                Assert.Null(problem);
                if (code == 200)
                {
                    checks.Remove(path);
                }
            }
        }
        Assert.Empty(checks);
    }

    [Fact]
    public void What_changes_something_names_the_password_and_the_codes_of_a_refusal()
    {
        foreach (var route in RestHandler.Routes.All)
        {
            var operation = s_document.Operations[(route.Method, $"/{route.Word}")];

            Assert.Equal(route.Access != RouteAccess.Open, operation.ContainsKey("security"));
            Assert.Equal(route.Access != RouteAccess.Open, operation["responses"]!["401"] is not null);
            Assert.Equal(route.Access != RouteAccess.Open, operation["responses"]!["403"] is not null);
        }
    }

    [Fact]
    public void It_is_whole_and_of_this_version()
    {
        var json = JsonNode.Parse(OpenApi.Document.Span)!;

        Assert.Empty(s_document.LooseReferences());
        Assert.Equal(RoutingVersion.Own, json["info"]!["version"]!.GetValue<string>());
        var tags = json["tags"]!.AsArray().Select(tag => tag!["name"]!.GetValue<string>()).ToHashSet();
        Assert.All(s_document.Operations.Values, operation =>
        {
            Assert.NotEmpty(operation["summary"]!.GetValue<string>());
            Assert.Contains(Assert.Single(operation["tags"]!.AsArray())!.GetValue<string>(), tags);
        });
    }

    [Fact]
    public async Task Answers_without_a_cluster_behind_them_are_as_the_document_says()
    {
        foreach (var status in Nodes.ByLetter.Values)
        {
            await using var host = await RestHost.StartAsync(Nodes.Paused(status) with
            {
                ScheduledRestart = new ScheduledRestart(
                    new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero), "x", "replica", "17.1", true, 20),
                WatchdogProblem = "no device",
                Tags = Nodes.Tags(("dc", "\"west\"")),
            });
            host.Length = 5;
            host.LostRecords = 1;
            host.Events.Append("role", "x", "This is an event.", new Term(1), 1);
            host.Events.Append("leader", "leader_changed", "This is a story.", new Term(1), 1,
                EventFigures.Of("leader", "pg-a"));
            foreach (var route in RestHandler.Routes.All.Where(route => route.Method is "GET" or "DELETE"))
            {
                Assert.Null((await AskAsync(host, route.Method, $"/{route.Word}")).Problem);
            }
        }
    }

    [Theory]
    [InlineData("PATCH", "/config", """{"ttl":40}""")]
    [InlineData("PATCH", "/config", """{"ttl":"soon"}""")]
    [InlineData("PATCH", "/config", """{"standby_cluster":{"host":"far"}}""")]
    [InlineData("PUT", "/config", "nonsense")]
    [InlineData("PUT", "/config", """{"ttl":40}""")]
    [InlineData("POST", "/switchover", "{}")]
    [InlineData("POST", "/switchover", """{"candidate":"pg-b"}""")]
    [InlineData("POST", "/switchover", """{"leader":"nobody"}""")]
    [InlineData("POST", "/switchover", """{"leader":"pg-a","scheduled_at":"soon"}""")]
    [InlineData("POST", "/switchover", """{"leader":"pg-a","scheduled_at":"2099-01-01T00:00:00Z"}""")]
    [InlineData("POST", "/failover", """{"candidate":"nobody"}""")]
    [InlineData("POST", "/failover", """{"leader":"pg-a"}""")]
    [InlineData("POST", "/failsafe", """{"name":"a","conn_url":"b","api_url":"c"}""")]
    [InlineData("POST", "/failsafe", """{"name":"a"}""")]
    [InlineData("POST", "/restart", """{"role":"captain"}""")]
    [InlineData("POST", "/restart", """{"schedule":"soon"}""")]
    [InlineData("POST", "/restart", """{"schedule":"2099-01-01T00:00:00Z"}""")]
    [InlineData("POST", "/reinitialize", """{"force":"perhaps"}""")]
    [InlineData("POST", "/remote", null)]
    [InlineData("POST", "/remote", """{"host":"far","port":5433}""")]
    [InlineData("POST", "/reload", null)]
    [InlineData("POST", "/sigterm", null)]
    [InlineData("POST", "/citus", "{}")]
    [InlineData("POST", "/mpp", "{}")]
    public async Task What_changes_something_answers_as_the_document_says(string method, string path, string? body)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");

        Assert.Null((await AskAsync(host, method, path, body)).Problem);
    }

    [Fact]
    public async Task Refusals_for_want_of_a_password_are_as_the_document_says()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary,
            RestHost.Loopback() with { Authentication = new BasicCredentials("x", "y") });

        foreach (var route in RestHandler.Routes.All.Where(route => route.Access != RouteAccess.Open))
        {
            var (code, problem) = await AskAsync(host, route.Method, $"/{route.Word}", "{}");

            Assert.Null(problem);
            Assert.Equal(401, code);
        }
    }

    [Fact]
    public void A_field_that_the_document_does_not_name_is_found()
    {
        Assert.Contains("members", s_document.ProblemWith("GET", "/cluster", 200, "application/json",
            """{"members":[{"name":"a","role":"captain","state":"running","api_url":null}],"scope":"x"}"""),
            StringComparison.Ordinal);
        Assert.Contains("rank", s_document.ProblemWith("GET", "/cluster", 200, "application/json",
            """{"members":[],"scope":"x","rank":1}"""), StringComparison.Ordinal);
        Assert.NotNull(s_document.ProblemWith("GET", "/cluster", 418, "application/json", "{}"));
        Assert.NotNull(s_document.ProblemWith("GET", "/liveness", 200, "application/json", "{}"));
        Assert.NotNull(s_document.ProblemWith("GET", "/cluster", 200, "text/plain", "x"));
    }

    private static async Task<(int Code, string? Problem)> AskAsync(
        RestHost host, string method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Content = body is null ? null : new StringContent(body);
        using var answer = await host.Http.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return ((int)answer.StatusCode, s_document.ProblemWith(
            method, path, (int)answer.StatusCode, answer.Content.Headers.ContentType?.MediaType, text));
    }
}
