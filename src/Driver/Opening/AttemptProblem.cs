using System.Net.Sockets;
using Npgsql;
using Routing.Driver.Members;

namespace Routing.Driver.Opening;

/// <summary>What the failure of an attempt means for the open that made it, and for the member.</summary>
internal static class AttemptProblem
{
    /// <summary>Whether the open may make another attempt; else its caller is told.</summary>
    /// <param name="problem">What the attempt ended with.</param>
    /// <param name="pool">Where it was made.</param>
    /// <param name="isCallerGone">Whether the caller's own token was cancelled.</param>
    public static bool MayTryAgain(Exception problem, MemberPool pool, bool isCallerGone) => problem switch
    {
        OperationCanceledException => !isCallerGone,   // the member's term ended, or it is silent
        ObjectDisposedException => pool.IsRetired,
        NpgsqlException npgsql => npgsql.IsTransient,
        TimeoutException or SocketException or IOException => true,
        _ => false,
    };

    /// <summary>Whether the failure says something about the member, so that others come first for a while.</summary>
    public static bool IsAgainstMember(Exception problem) =>
        !(problem is OperationCanceledException or ObjectDisposedException or StillWaitingException
            || IsPoolExhausted(problem));

    /// <summary>Whether all connections of the pool were in use until Npgsql's time was over.</summary>
    /// <remarks>Npgsql tells it by its words alone; a test holds it to them.</remarks>
    public static bool IsPoolExhausted(Exception problem) =>
        problem is NpgsqlException and not PostgresException
            && problem.Message.Contains("pool has been exhausted", StringComparison.Ordinal);

    /// <summary>The failure in words, for messages and the log.</summary>
    public static string Describe(Exception problem) => problem switch
    {
        OperationCanceledException => "given up: it is silent, or not fit any more",
        ObjectDisposedException => "it left the cluster",
        NpgsqlException { InnerException: { } inner } and not PostgresException and not WrongRoleException =>
            $"{problem.Message} ({inner.Message})",
        _ => problem.Message,
    };
}
