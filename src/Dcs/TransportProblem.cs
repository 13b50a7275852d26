using System.Net.Sockets;
using Grpc.Core;

namespace Routing.Dcs;

/// <summary>Says in plain words why a connection was not made, or broke.</summary>
internal static class TransportProblem
{
    private const string Foreign = "its answer is not etcd's: another service listens there, or it wants TLS (https)";
    private const string Unreached = "no TCP connection in time: the host is down, or packets to it are dropped";

    /// <summary>What the run time and OpenSSL say of TLS: for most of it there is no error code.</summary>
    private static readonly (string Sign, string Words)[] s_signs =
    [
        ("RemoteCertificateNameMismatch", "its certificate is made out to another name"),
        ("NotTimeValid", "its certificate has expired, or is not valid yet"),
        ("PartialChain", "its certificate is signed by an authority that is not trusted (see cacert)"),
        ("UntrustedRoot", "its certificate is signed by an authority that is not trusted (see cacert)"),
        ("certificate required", "it demands a client certificate (see cert and key)"),
        ("bad certificate", "it refuses the client certificate, or demands one (see cert and key)"),
        ("alert unknown ca", "it refuses the client certificate, or demands one (see cert and key)"),
        ("frame size", "it answers without TLS: it wants none (http), or is another service"),
        ("unexpected EOF",
            "it closed the connection in the TLS handshake: it wants none (http), or is another service"),
        ("complete the HTTP/2 handshake", Foreign),
        ("unable to establish HTTP/2", "it speaks no HTTP/2: another service listens there"),
    ];

    /// <summary>A clause without a subject's name, such as <c>connection refused</c>.</summary>
    /// <param name="problem">With everything that lies behind it.</param>
    public static string Describe(Exception problem)
    {
        var chain = Chain(problem).ToList();
        if (chain.OfType<SocketException>().LastOrDefault() is { } socket)
        {
            return Describe(socket);
        }
        var said = string.Join(' ', chain.Select(one => one.Message));
        foreach (var (sign, words) in s_signs)
        {
            if (said.Contains(sign, StringComparison.Ordinal))
            {
                return words;
            }
        }
        return chain.Exists(one => one is TimeoutException) ? Unreached
            : chain.Exists(IsOfProtocol) ? Foreign
            : chain[^1].Message;
    }

    private static string Describe(SocketException problem) => problem.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => "connection refused",
        SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain or SocketError.NoRecovery =>
            $"its name can't be resolved ({problem.Message})",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable => $"there is no way to it ({problem.Message})",
        SocketError.TimedOut => Unreached,
        SocketError.ConnectionReset => "it reset the connection",
        _ => problem.Message,
    };

    private static bool IsOfProtocol(Exception problem) =>
        problem is HttpIOException
            or HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse }
            or HttpRequestException { HttpRequestError: HttpRequestError.HttpProtocolError };

    private static IEnumerable<Exception> Chain(Exception problem)
    {
        for (var one = problem; one is not null; one = Cause(one))
        {
            yield return one;
        }
    }

    private static Exception? Cause(Exception problem) =>
        problem is RpcException { Status.DebugException: { } hidden } ? hidden : problem.InnerException;
}
