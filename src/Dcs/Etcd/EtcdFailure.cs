using System.Net.Sockets;
using Grpc.Core;

namespace Routing.Dcs.Etcd;

/// <summary>What a failed attempt means for its caller.</summary>
internal enum EtcdFailureKind
{
    /// <summary>The request never reached the server: it was not applied. Another endpoint may do.</summary>
    Unreachable,

    /// <summary>The server answered that it can't at present: not applied. Another endpoint may do.</summary>
    NotNow,

    /// <summary>No answer within the attempt's time: it may have been applied, or be applied later.</summary>
    Silent,

    /// <summary>An answer that leaves open whether it was applied.</summary>
    Ambiguous,

    /// <summary>The token is missing, too old or unknown: log in again and repeat. Not applied.</summary>
    NeedsLogin,

    /// <summary>The lease does not exist. Not applied.</summary>
    LeaseGone,

    /// <summary>A definite refusal. Not applied.</summary>
    Refused,
}

/// <summary>A failed attempt.</summary>
internal sealed record EtcdFailure(EtcdFailureKind Kind, string Message, Exception? Cause = null)
{
    private const string NotEtcd = "another service answers there";
    private const string WrongPassword = "invalid user ID or password";

    /// <summary>Whether the user, the password or the user's rights are what is wrong.</summary>
    public bool IsOfLogin { get; init; }

    /// <summary>Whether the request was surely not applied.</summary>
    public bool IsWithoutEffect => Kind is not (EtcdFailureKind.Silent or EtcdFailureKind.Ambiguous);

    /// <summary>Reads etcd's errors (its package <c>rpctypes</c>: code and text) and those of the transport.</summary>
    public static EtcdFailure Of(RpcException exception)
    {
        var text = exception.Status.Detail;
        var kind = exception.StatusCode switch
        {
            _ when IsOfAnotherService(exception) => EtcdFailureKind.Ambiguous,
            _ when Says("requested lease not found") => EtcdFailureKind.LeaseGone,
            _ when Says("invalid auth token") || Says("revision of auth store is old") || Says("user name is empty") =>
                EtcdFailureKind.NeedsLogin,
            StatusCode.Unauthenticated or StatusCode.PermissionDenied => EtcdFailureKind.NeedsLogin,
            StatusCode.Unavailable when NeverConnected(exception) => EtcdFailureKind.Unreachable,
            StatusCode.Unavailable when Says("no leader") || Says("server stopped") => EtcdFailureKind.NotNow,
            StatusCode.FailedPrecondition => EtcdFailureKind.NotNow,
            StatusCode.ResourceExhausted when Says("too many requests") => EtcdFailureKind.NotNow,
            StatusCode.ResourceExhausted when Says("database space exceeded") => EtcdFailureKind.Refused,
            StatusCode.InvalidArgument or StatusCode.NotFound or StatusCode.OutOfRange or StatusCode.AlreadyExists
                or StatusCode.Unimplemented => EtcdFailureKind.Refused,
            // Unavailable in general, DeadlineExceeded, Cancelled, Internal (the transport broke), Unknown ("not a
            // primary lessor"), Aborted, DataLoss: a server was there, and whether it applied the request is not known.
            _ => EtcdFailureKind.Ambiguous,
        };
        return new EtcdFailure(kind, Words(exception), exception)
        {
            IsOfLogin = kind == EtcdFailureKind.NeedsLogin || Says(WrongPassword),
        };

        bool Says(string part) => text.Contains(part, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Whether an exception tells of a broken connection, outside of gRPC's own words.</summary>
    public static bool IsOfTransport(Exception problem) =>
        problem is IOException or HttpRequestException or SocketException;

    /// <summary>What the server says, or why there is no server that says anything.</summary>
    private static string Words(RpcException exception)
    {
        if (exception.Status.DebugException is not null)
        {
            return TransportProblem.Describe(exception);
        }
        var text = exception.Status.Detail;
        return text switch
        {
            "" => $"{exception.StatusCode}, without words",
            _ when IsOfAnotherService(exception) => $"{NotEtcd} ({text})",
            _ when Says(WrongPassword) => $"the user name or the password is wrong ({text})",
            _ when Says("user name is empty") => $"it wants a user name and a password ({text})",
            _ when Says("permission denied") => $"the user lacks the right to it ({text})",
            _ => text,
        };

        bool Says(string part) => text.Contains(part, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>gRPC's words on an answer without a status of its own, or on a service that is not known.</summary>
    private static bool IsOfAnotherService(RpcException exception) =>
        exception.Status.Detail.StartsWith("Bad gRPC response", StringComparison.Ordinal)
            || exception.Status.Detail.StartsWith("unknown service", StringComparison.Ordinal);

    private static bool NeverConnected(RpcException exception) =>
        exception.Status.DebugException is HttpRequestException
    {
        HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
            or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError,
    };
}

/// <summary>The end of an attempt: a value, or a failure.</summary>
internal readonly record struct EtcdAnswer<T>(T? Value, EtcdFailure? Failure)
    where T : class;
