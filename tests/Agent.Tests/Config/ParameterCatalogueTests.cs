using System.Diagnostics;
using System.Text.Json;
using Routing.Settings.Review;
using Routing.TestKit;

namespace Routing.Agent.Tests.Config;

/// <summary>The names that are built in agree with the server that runs here, whatever its version.</summary>
[Trait("Category", "Integration")]
public sealed class ParameterCatalogueTests
{
    [Fact]
    public async Task What_the_server_reads_at_a_start_alone_is_known_to_need_a_restart()
    {
        using var before = JsonDocument.Parse("{}");

        // A reload is enough for it since 14.
        Assert.All((await AtStartAsync()).Where(name => name != "restore_command"), name =>
        {
            using var after = JsonDocument.Parse(
                $$"""{"postgresql":{"parameters":{"{{name}}":"1"} } }""");
            var review = ConfigReview.Of(before.RootElement, after.RootElement);
            // What the agent sets itself is refused instead.
            Assert.True(review.RestartParameters.Contains(name) || !review.Problems.IsEmpty, name);
        });
    }

    // "name\tcontext\tgroup\ttype…": internal ones, which nobody sets, are not among them.
    private static async Task<IReadOnlyList<string>> AtStartAsync()
    {
        var start = new ProcessStartInfo(PostgresUnderTest.PathOf("postgres"), ["--describe-config"])
        {
            RedirectStandardOutput = true,
        };
        using var postgres = Process.Start(start)!;
        var lines = await postgres.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await postgres.WaitForExitAsync(TestContext.Current.CancellationToken);
        var names = lines.Split('\n').Select(line => line.Split('\t'))
            .Where(words => words is [_, "postmaster", ..]).Select(words => words[0]).ToList();
        Assert.Contains("shared_buffers", names);
        return names;
    }
}
