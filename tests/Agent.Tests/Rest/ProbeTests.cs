namespace Routing.Agent.Tests.Rest;

/// <summary>What load balancers send, byte by byte.</summary>
public sealed class ProbeTests
{
    [Theory]
    [InlineData("OPTIONS /primary HTTP/1.0\r\n\r\n")]
    [InlineData("OPTIONS / HTTP/1.0\r\n\r\n")]
    [InlineData("HEAD /primary HTTP/1.1\r\n\r\n")]
    [InlineData("OPTIONS /primary?lag=0 HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n")]
    [InlineData("OPTIONS /primary HTTP/1.0\n\n")]
    [InlineData("HEAD http://node:8008/ HTTP/1.1\r\nHost: node:8008\r\n\r\n")]
    [InlineData("OPTIONS http://node:8008/read-only-sync?lag=0 HTTP/1.1\r\nHost: node:8008\r\n\r\n")]
    public async Task A_probe_gets_a_status_line_and_the_end(string probe)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var yes = await host.RawAsync(probe);
        host.Status = Nodes.Replica;
        var no = await host.RawAsync(probe);

        Assert.Equal("HTTP/1.0 200 OK\r\n\r\n", yes);
        Assert.Equal("HTTP/1.0 503 Service Unavailable\r\n\r\n", no);
    }

    [Fact]
    public async Task A_GET_of_HTTP_1_0_gets_headers_a_body_and_the_end()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var answer = await host.RawAsync("GET /primary HTTP/1.0\r\n\r\n");

        Assert.Matches(@"^HTTP/1\.\d 200 OK\r\n", answer);
        Assert.Contains("Connection: close\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("}", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("OPTIONS\r\n\r\n")]
    [InlineData("HELLO there\r\n\r\n")]
    [InlineData("OPTIONS / SMTP\r\n\r\n")]
    public async Task Nonsense_that_looks_like_a_probe_is_refused(string nonsense)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        Assert.Equal("HTTP/1.0 400 Bad Request\r\n\r\n", await host.RawAsync(nonsense));
    }

    [Fact]
    public async Task A_probe_without_an_end_is_cut_off()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var answer = await host.RawAsync("OPTIONS / HTTP/1.0\r\nX: " + new string('x', 20_000));

        Assert.Equal("HTTP/1.0 400 Bad Request\r\n\r\n", answer);
    }

    [Fact]
    public async Task A_connection_is_used_for_one_request()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var answer =
            await host.RawAsync("GET /liveness HTTP/1.1\r\nHost: x\r\n\r\nGET /liveness HTTP/1.1\r\nHost: x\r\n\r\n");

        Assert.Single(answer.Split("HTTP/1.1 200", StringSplitOptions.RemoveEmptyEntries));
    }
}
