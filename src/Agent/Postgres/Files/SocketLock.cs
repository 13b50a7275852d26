using System.Globalization;
using System.Net.Sockets;
using Routing.Agent.Native;

namespace Routing.Agent.Postgres.Files;

/// <summary>
/// The file beside a socket (<c>.s.PGSQL.PORT.lock</c>) by which a server says that the socket is its own.
/// </summary>
internal static class SocketLock
{
    /// <summary>
    /// Removes one of an earlier life of the machine or container whose number belongs to another process by now:
    /// PostgreSQL takes any living process of its user for the socket's owner, and does not start.
    /// </summary>
    /// <param name="directory">Where the socket is to be.</param>
    /// <param name="port">The server's port.</param>
    /// <returns>The process that the file names; null when the file stays, or there is none.</returns>
    public static int? RemoveForeign(string directory, int port)
    {
        var socket = Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $".s.PGSQL.{port}"));
        var file = socket + ".lock";
        try
        {
            if (!File.Exists(file)
                || File.ReadAllText(file).Split('\n') is not [var number, var data, ..]
                || !int.TryParse(number.Trim().TrimStart('-'), NumberStyles.None, CultureInfo.InvariantCulture,
                    out var pid)
                || ProcessStat.Read(pid) is not { IsAlive: true }
                || !IsAnother(pid, data.Trim())
                || IsAnswered(socket))
            {
                return null;
            }
            File.Delete(file);
            return pid;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;   // PostgreSQL finds out at its start
        }
    }

    /// <summary>
    /// No PostgreSQL, or one that works in another directory than the owner did. False also when it cannot be told.
    /// </summary>
    private static bool IsAnother(int pid, string dataDirectory) =>
        File.ResolveLinkTarget($"/proc/{pid}/exe", returnFinalTarget: false) is { } program
        && (!program.Name.StartsWith("postgres", StringComparison.Ordinal)
            || (FileIdentity.Of($"/proc/{pid}/cwd") is { } works && works != FileIdentity.Of(dataDirectory)));

    /// <summary>
    /// A server listens: one whose processes are numbered apart from ours, in another container.
    /// </summary>
    private static bool IsAnswered(string socket)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(socket));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
