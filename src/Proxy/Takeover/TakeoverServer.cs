using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Takeover;

/// <summary>Waits at a Unix domain socket for a process that takes over.</summary>
/// <remarks>
/// The socket's file has mode 0600, and who connects is asked for its user: what passes here are other people's
/// sessions, and keys to log in again.
/// </remarks>
internal sealed partial class TakeoverServer(
    string path, ITakeoverHost host, TimeProvider time, ILogger logger) : IDisposable
{
    private const uint Root = 0;
    private static readonly TimeSpan s_taking = TimeSpan.FromSeconds(5);

    private Socket? _socket;
    private volatile TakeoverChannel? _busy;

    /// <summary>Whether there is a socket.</summary>
    public bool IsOpen => _socket is not null;

    /// <summary>Makes the socket. A file at which no process answers is removed before.</summary>
    public void Open()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            if (IsAnswered(path))
            {
                throw new IOException("another process answers there");
            }
            File.Delete(path);
            socket.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            socket.Listen();   // until here nobody gets in, whatever the mode was
            _socket = socket;
        }
        catch (Exception problem) when (problem is IOException or SocketException or UnauthorizedAccessException
            or ArgumentException)
        {
            socket.Dispose();
            LogNoSocket(path, problem.Message);
        }
    }

    /// <summary>The next process can have the path.</summary>
    public void Close()
    {
        if (_socket is not null)
        {
            File.Delete(path);
            _socket.Dispose();
            _socket = null;
        }
    }

    /// <summary>A process that is taking over is told no more: all that it has not yet, it does not get.</summary>
    public void Interrupt() => _busy?.Break();

    /// <summary>Waits for processes, one after another, until one has taken over or it is told to end.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (_socket is { } socket)
            {
                var peer = await socket.AcceptAsync(cancellationToken);
                if (await ServeAsync(peer))
                {
                    return;
                }
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // told to end
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Close();

    /// <summary>Whether a process of a user may take over from one of another.</summary>
    internal static bool MayTakeOver(uint user, uint own) => user == own || user == Root;

    // A file of a process that was killed is in the way.
    private static bool IsAnswered(string path)
    {
        if (!File.Exists(path))
        {
            return false;
        }
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    // True: the other process has taken over.
    private async ValueTask<bool> ServeAsync(Socket peer)
    {
        using var channel = new TakeoverChannel(peer, s_taking);
        _busy = channel;
        var (process, user) = UnixMessages.PeerOf((int)peer.SafeHandle.DangerousGetHandle());
        if (!MayTakeOver(user, UnixMessages.OwnUser()))
        {
            LogStranger(process, user);
            return false;
        }
        using var giver = new TakeoverGiver(channel, process, host, time);
        var begun = time.GetTimestamp();
        try
        {
            var count = await giver.RunAsync();
            var took = time.GetElapsedTime(begun).TotalMilliseconds;
            LogGiven(process, count.HandedOver, took, count.KeptInAll);
            return true;
        }
        catch (Exception problem) when (problem is IOException or InvalidDataException)
        {
            if (giver.IsIntroduced)
            {
                LogNotGiven(process, problem.Message);
            }
            return false;
        }
    }

    [LoggerMessage(EventId = 6421, Level = LogLevel.Information,
        Message = "Process {Process} has taken over: {HandedOver} sessions go on there, after {Milliseconds:0} ms; "
            + "{Kept} are drained here")]
    private partial void LogGiven(int process, int handedOver, double milliseconds, int kept);

    [LoggerMessage(EventId = 6422, Level = LogLevel.Error,
        Message = "Process {Process} has not taken over, and this one goes on: {Problem}")]
    private partial void LogNotGiven(int process, string problem);

    [LoggerMessage(EventId = 6423, Level = LogLevel.Warning,
        Message = "Process {Process} of user {User} may not take over: it has another user than this one")]
    private partial void LogStranger(int process, uint user);

    [LoggerMessage(EventId = 6424, Level = LogLevel.Warning,
        Message = "No process can take over from this one, for there is no socket at {Path}: {Problem}")]
    private partial void LogNoSocket(string path, string problem);
}
