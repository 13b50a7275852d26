using Routing.Agent.Tests.Rest;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>The agents of a real cluster answer as their OpenAPI document says.</summary>
[Collection(SecondCluster.Name)]
public sealed class OpenApiTests(ClusterFixture fixture)
{
    [Fact]
    public async Task Every_question_to_every_member_gets_an_answer_that_the_document_describes()
    {
        var (cluster, _) = await fixture.TakeAsync();
        foreach (var node in cluster.Nodes)
        {
            var document = OpenApiDocument.Parse((await node.DocumentAsync("/openapi.json")).ToJsonString());

            foreach (var (method, path) in document.Operations.Keys.Where(one => one.Method is "GET" or "HEAD"))
            {
                var (code, type, body) = await node.AnswerAsync(method, path);
                Assert.Null(document.ProblemWith(method, path, code, type, body));
            }
        }
    }

    [Fact]
    public async Task A_change_of_the_configuration_is_answered_as_the_document_says()
    {
        var (_, leader) = await fixture.TakeAsync();
        var document = OpenApiDocument.Parse((await leader.DocumentAsync("/openapi.json")).ToJsonString());

        foreach (var body in new[] { """{"my_tool":{"a":1}}""", """{"my_tool":null}""", """{"ttl":"soon"}""" })
        {
            var (code, type, text) = await leader.AnswerAsync("PATCH", "/config", body);
            Assert.Null(document.ProblemWith("PATCH", "/config", code, type, text));
        }
    }
}
