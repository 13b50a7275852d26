namespace Routing.Agent.Tests.Rest;

/// <summary>What each member answers on each path, cell by cell, through a real socket.</summary>
public sealed class HealthMatrixTests
{
    private const string Columns = "P R S Q N L X D";

    private static readonly (string Paths, string Codes)[] s_matrix =
    [
        ("/ /primary /master /read-write", "200 503 503 503 503 503 503 200"),
        ("/leader", "200 503 503 503 503 200 503 200"),
        ("/standby-leader /standby_leader", "503 503 503 503 503 200 503 503"),
        ("/replica", "503 200 200 200 503 503 503 503"),
        ("/read-only", "200 200 200 200 503 200 503 200"),
        ("/sync /synchronous", "503 503 200 503 503 503 503 503"),
        ("/quorum", "503 503 503 200 503 503 503 503"),
        ("/async /asynchronous", "503 200 503 503 503 503 503 503"),
        ("/read-only-sync /read-only-synchronous", "200 503 200 503 503 200 503 200"),
        ("/read-only-quorum", "200 503 503 200 503 200 503 200"),
        ("/health", "200 200 200 200 200 200 200 503"),
    ];

    // Paused while the DCS is silent: the server's own role decides, not the belief.
    private static readonly (string Paths, string Codes)[] s_pausedAndSilent =
    [
        ("/primary", "200 503 503 503 503 503 200 200"),
        ("/leader", "200 503 503 503 503 200 200 200"),
        ("/standby-leader", "503 503 503 503 503 200 503 503"),
        ("/replica", "503 200 200 200 503 503 503 503"),
    ];

    private static readonly (string Paths, string Codes)[] s_silent =
    [
        ("/primary", "200 503 503 503 503 503 503 200"),
        ("/leader", "200 503 503 503 503 200 503 200"),
        ("/replica", "503 200 200 200 503 503 503 503"),
        ("/read-only", "200 200 200 200 503 200 503 200"),
        ("/sync /quorum /async /read-only-sync /read-only-quorum", "503 503 503 503 503 503 503 503"),
        ("/health", "200 200 200 200 200 200 200 503"),
    ];

    public static IEnumerable<TheoryDataRow<string>> Letters =>
        Columns.Split(' ').Select(letter => new TheoryDataRow<string>(letter));

    [Theory]
    [MemberData(nameof(Letters))]
    public Task Every_health_path_answers_what_the_member_is(string letter) =>
        AssertColumnAsync(letter, s_matrix, ["GET", "HEAD", "OPTIONS"], status => status);

    [Theory]
    [MemberData(nameof(Letters))]
    public Task While_the_DCS_is_silent_the_belief_decides_and_nobody_is_synchronous(string letter) =>
        AssertColumnAsync(letter, s_silent, ["GET", "OPTIONS"], Nodes.Silent);

    [Theory]
    [MemberData(nameof(Letters))]
    public Task While_the_DCS_is_silent_in_a_pause_the_servers_role_decides(string letter) =>
        AssertColumnAsync(letter, s_pausedAndSilent, ["GET", "OPTIONS"], status => Nodes.Paused(Nodes.Silent(status)));

    [Theory]
    [MemberData(nameof(Letters))]
    public async Task Documents_are_always_there_and_only_with_GET(string letter)
    {
        await using var host = await RestHost.StartAsync(Nodes.ByLetter[letter]);

        Assert.Equal(200, await host.CodeAsync("GET", "/patroni"));
        Assert.Equal(200, await host.CodeAsync("GET", "/patroni/anything"));
        Assert.Equal(200, await host.CodeAsync("GET", "/metrics"));
        Assert.Equal(200, await host.CodeAsync("GET", "/liveness"));
        Assert.Equal(letter == "X" ? 503 : 200, await host.CodeAsync("GET", "/readiness"));
        foreach (var path in (string[])["/patroni", "/liveness", "/readiness", "/metrics", "/config", "/cluster"])
        {
            Assert.Equal(503, await host.CodeAsync("HEAD", path));
            Assert.Equal(503, await host.CodeAsync("OPTIONS", path));
        }
    }

    private static async Task AssertColumnAsync(
        string letter, (string Paths, string Codes)[] matrix, string[] methods,
        Func<Status.AgentStatus, Status.AgentStatus> change)
    {
        await using var host = await RestHost.StartAsync(change(Nodes.ByLetter[letter]));
        var column = Array.IndexOf(Columns.Split(' '), letter);

        foreach (var (paths, codes) in matrix)
        {
            foreach (var path in paths.Split(' '))
            {
                foreach (var method in methods)
                {
                    var code = await host.CodeAsync(method, path);

                    Assert.True(
                        codes.Split(' ')[column] == code.ToString(System.Globalization.CultureInfo.InvariantCulture),
                        $"{method} {path} of {letter}: {code}");
                }
            }
        }
    }
}
