using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>The command line of the real program.</summary>
[Trait("Category", "Integration")]
public sealed class CheckTests : IDisposable
{
    private const string Good =
        "scope: x\netcd3: {hosts: 127.0.0.1:2379}\nlisteners:\n  write: {listen: \"127.0.0.1:5000\", role: primary}\n";
    private readonly TempDirectory _directory = new("check");

    public CheckTests() => OrdinaryProcess.GiveAway(_directory.Path);

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_good_file_is_good()
    {
        var (code, output) = await RunAsync("--check", Write(Good));

        Assert.Equal((0, "The configuration is good.\n"), (code, output));
    }

    [Theory]
    [InlineData("listeners: {}", "scope")]
    [InlineData("scope: x\netcd3: {hosts: h}", "listeners")]
    [InlineData(Good + "timeouts: {drain: soon}", "timeouts.drain", "soon", "seconds")]
    [InlineData(Good + "limits: {max_sessions: -1}", "limits.max_sessions", "-1")]
    [InlineData(Good + "  read: {listen: nowhere, role: replica}", "listeners.read.listen", "nowhere")]
    [InlineData(Good + "  read: {listen: \"127.0.0.1:5000\", role: replica}", "listeners.read.listen",
        "the listener write does not have")]
    [InlineData(Good + "  read: {listen: \"*:5000\", role: replica}", "listeners.read.listen",
        "the listener write does not have")]
    [InlineData(Good + "  read: {listen: \"0.0.0.0:5000\", role: replica}", "listeners.read.listen")]
    [InlineData(Good + "  read: {listen: \"[::]:5000\", role: replica}", "listeners.read.listen")]
    [InlineData(Good + "admin: {listen: \"127.0.0.1:5000\"}", "listeners.write.listen", "admin")]
    [InlineData(Good + "  read: {listen: \"unix:relative\", role: replica}", "listeners.read.listen")]
    [InlineData(Good + "  read: {listen: \"127.0.0.1:5001\", role: boss}", "listeners.read.role", "boss", "replica")]
    [InlineData(Good + "  tls: {listen: \"127.0.0.1:5001\", role: any, tls: {mode: terminate}}",
        "listeners.tls.tls.certificate")]
    [InlineData(
        Good + "  tls: {listen: \"127.0.0.1:5001\", role: any, tls: {mode: terminate, certificate: /nowhere.pem}}",
        "/nowhere.pem")]
    [InlineData(Good + "  px: {listen: \"127.0.0.1:5001\", role: any, proxy_protocol: {from: everywhere}}",
        "listeners.px.proxy_protocol.from")]
    [InlineData(Good + "transport: carrier_pigeon", "transport", "carrier_pigeon", "epoll")]
    [InlineData("scope: [", "proxy.yml:2", "no valid")]
    public async Task Each_mistake_is_named_with_its_place_and_what_is_allowed(string yaml, params string[] words)
    {
        var (code, output) = await RunAsync("--check", Write(yaml));

        Assert.Equal(1, code);
        Assert.All(words, word => Assert.Contains(word, output, StringComparison.Ordinal));
        Assert.DoesNotContain("   at Routing", output, StringComparison.Ordinal);
        Assert.DoesNotContain("is good", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_key_is_a_warning()
    {
        var (code, output) = await RunAsync("--check", Write(Good + "colour: blue"));

        Assert.Equal(0, code);
        Assert.Contains("warning", output, StringComparison.Ordinal);
        Assert.Contains("colour", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_file_ends_the_program_as_it_ends_the_check()
    {
        var (code, output) = await RunAsync(Write(Good + "timeouts: {drain: soon}"));
        var (missing, why) = await RunAsync(_directory["missing.yml"]);

        Assert.Equal(1, code);
        Assert.Contains("timeouts.drain", output, StringComparison.Ordinal);
        Assert.Equal(1, missing);
        Assert.Contains("missing.yml", why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Variables_are_looked_at_like_the_file()
    {
        var (code, output) =
            await StartAsync("env", "ROUTING_PROXY_TIMEOUTS={drain: never}", Programs.Proxy, "--check", Write(Good));

        Assert.Equal(1, code);
        Assert.Contains("ROUTING_PROXY_TIMEOUTS", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_says_its_version_and_how_it_is_used()
    {
        Assert.StartsWith("routing-proxy ", (await RunAsync("--version")).Output, StringComparison.Ordinal);
        Assert.Contains("Usage: routing-proxy", (await RunAsync("--help")).Output, StringComparison.Ordinal);
        Assert.Equal(2, (await RunAsync("--nonsense")).Code);
    }

    private string Write(string yaml)
    {
        File.WriteAllText(_directory["proxy.yml"], yaml);
        return _directory["proxy.yml"];
    }

    private Task<(int Code, string Output)> RunAsync(params string[] arguments) =>
        StartAsync([Programs.Proxy, .. arguments]);

    private async Task<(int Code, string Output)> StartAsync(params string[] command)
    {
        var log = _directory[$"{Guid.NewGuid():N}.log"];
        using var program = OrdinaryProcess.Start(log, _directory.Path, command);
        var code = await program.WaitForExitAsync(TimeSpan.FromSeconds(30));
        return (code, await File.ReadAllTextAsync(log));
    }
}
