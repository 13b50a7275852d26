using System.Globalization;

namespace Routing.Agent.Postgres.Files;

/// <summary>What the postmaster says of its own readiness, in the last line of postmaster.pid.</summary>
internal enum PostmasterStatus
{
    /// <summary>The line is not there yet.</summary>
    Unknown,

    /// <summary><c>starting</c></summary>
    Starting,

    /// <summary><c>stopping</c></summary>
    Stopping,

    /// <summary><c>ready</c>: accepts connections.</summary>
    Ready,

    /// <summary><c>standby</c>: in recovery, and no connections are accepted.</summary>
    Standby,
}

/// <summary>postmaster.pid: written by the server at its start and kept up to date by it.</summary>
/// <remarks>The lines are those of src/include/utils/pidfile.h; the file grows while the server starts.</remarks>
/// <param name="Pid">The postmaster.</param>
/// <param name="DataDirectory">Its data directory.</param>
/// <param name="StartSeconds">When it started, in seconds since 1970.</param>
/// <param name="Port">Its port; 0 while unknown.</param>
/// <param name="SocketDirectory">Its first socket directory; empty for none.</param>
/// <param name="ListenAddress">Its first address, <c>*</c> for any; empty for none.</param>
/// <param name="Status">Whether it accepts connections.</param>
internal sealed record PostmasterFile(
    int Pid, string DataDirectory, long StartSeconds, int Port, string SocketDirectory, string ListenAddress,
    PostmasterStatus Status)
{
    /// <summary>
    /// A backend without a postmaster holds the directory (<c>postgres --single</c>, initdb): it takes no connections,
    /// and is nothing to adopt, to guard or to demote.
    /// </summary>
    public bool IsStandalone { get; init; }

    /// <summary>Reads the file; null when there is none, none that can be read, or none that makes sense.</summary>
    public static PostmasterFile? Read(string dataDirectory)
    {
        try
        {
            return Parse(File.ReadAllText(Path.Combine(dataDirectory, "postmaster.pid")));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;   // a data directory that cannot be used is told of by DataDirectoryState
        }
    }

    /// <summary>Reads the text; null when it makes no sense (the server is just writing it).</summary>
    public static PostmasterFile? Parse(string text)
    {
        var lines = text.Split('\n');
        if (lines.Length < 3
            || !int.TryParse(lines[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var pid)
            || !long.TryParse(lines[2], NumberStyles.None, CultureInfo.InvariantCulture, out var start))
        {
            return null;
        }
        _ = int.TryParse(Line(3), NumberStyles.None, CultureInfo.InvariantCulture, out var port);
        return new PostmasterFile(Math.Abs(pid), lines[1], start, port, Line(4), Line(5), Line(7).Trim() switch
        {
            "starting" => PostmasterStatus.Starting,
            "stopping" => PostmasterStatus.Stopping,
            "ready" => PostmasterStatus.Ready,
            "standby" => PostmasterStatus.Standby,
            _ => PostmasterStatus.Unknown,
        })
        {
            IsStandalone = pid < 0,
        };

        string Line(int index) => index < lines.Length ? lines[index] : "";
    }
}
