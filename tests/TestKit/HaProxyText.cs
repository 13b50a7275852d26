using System.Globalization;

namespace Routing.TestKit;

/// <summary>The configuration of HAProxy that people have in front of Patroni.</summary>
public static class HaProxyText
{
    /// <summary>What stands at the beginning, with the time-outs that Patroni's own template has.</summary>
    public const string Beginning = """
        global
            maxconn 100
        defaults
            mode tcp
            retries 2
            timeout client 30m
            timeout connect 4s
            timeout server 30m
            timeout check 5s

        """;

    /// <summary>A port that leads to the servers which pass a check.</summary>
    /// <param name="port">The port, on 127.0.0.1.</param>
    /// <param name="check">Method and path.</param>
    /// <param name="rhythm">How often a server is asked, and after how many answers it counts as down or up.</param>
    /// <param name="servers">The lines of the servers, without the word <c>server</c>.</param>
    public static string Listener(int port, string check, string rhythm, IEnumerable<string> servers) => string.Create(
        CultureInfo.InvariantCulture,
        $"""
        listen port{port}
            bind 127.0.0.1:{port}
            option httpchk {check}
            http-check expect status 200
            default-server {rhythm} on-marked-down shutdown-sessions
        {string.Concat(servers.Select(server => $"    server {server}\n"))}

        """);
}
