using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions;
using Routing.Proxy.Sessions.Handing;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Takeover;

/// <summary>The new process's side: takes everything over from a process that runs.</summary>
internal sealed partial class TakeoverTaker : IDisposable
{
    private static readonly TimeSpan s_taking = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_word = TimeSpan.FromSeconds(60);

    private readonly TakeoverChannel _channel;
    private readonly ILogger _logger;
    private readonly Dictionary<int, Session> _waiting = [];   // for the word to begin
    private int _begun;

    private readonly int _other;

    private TakeoverTaker(TakeoverChannel channel, int other, ILogger logger) =>
        (_channel, _other, _logger) = (channel, other, logger);

    /// <summary>The other process runs.</summary>
    public bool IsOtherAlive => File.Exists($"/proc/{_other}/stat");

    /// <summary>Whether sessions of the other process have begun here.</summary>
    public bool HasSessions => _begun > 0;

    /// <summary>Comes to the process that runs, and gets its listening sockets.</summary>
    /// <param name="path">Where that process waits.</param>
    /// <param name="logger">Told of it.</param>
    /// <returns>Null: there is none.</returns>
    /// <exception cref="IOException">It refuses, or has ended.</exception>
    public static async Task<(TakeoverTaker Taker, IReadOnlyList<ListeningSocket> Sockets)?> ConnectAsync(
        string path, ILogger logger)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException problem)
        {
            socket.Dispose();
            LogNobody(logger, path, problem.Message);
            return null;
        }
        var (other, _) = UnixMessages.PeerOf((int)socket.SafeHandle.DangerousGetHandle());
        var taker = new TakeoverTaker(new TakeoverChannel(socket, s_taking), other, logger);
        try
        {
            return (taker, await Task.Run(taker.Introduce));
        }
        catch
        {
            taker.Dispose();
            throw;
        }
    }

    /// <summary>Takes sessions, from the word that this process accepts until the other one has no more.</summary>
    /// <param name="taken">The places of the listening sockets at which this process accepts.</param>
    /// <param name="sessions">Takes them.</param>
    /// <returns>What the other process has kept.</returns>
    /// <exception cref="IOException">The other process has ended, or has changed its mind.</exception>
    public Task<TakeoverCount> RunAsync(IReadOnlyCollection<int> taken, SessionServer sessions) =>
        Task.Factory.StartNew(
            () => Run(taken, sessions), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
            .Unwrap();

    /// <inheritdoc/>
    public void Dispose() => _channel.Dispose();

    private List<ListeningSocket> Introduce()
    {
        using (var hello = new SecretWriter())
        {
            hello.Int(TakeoverVersion.Lowest);
            hello.Int(TakeoverVersion.Highest);
            hello.Text(RoutingVersion.Own);
            _channel.Send(TakeoverFrame.Hello, hello.Written);
        }
        var sockets = new List<ListeningSocket>();
        try
        {
            while (true)
            {
                using var message = Next();
                switch (message.Type)
                {
                    case TakeoverFrame.Welcome:
                        var release = ReadRelease(message.Body);
                        LogWelcome(release);
                        break;
                    case TakeoverFrame.Refusal:
                        throw new IOException($"The process that runs refuses: {ReadText(message.Body)}");
                    case TakeoverFrame.Listener:
                        sockets.Add(ReadListener(message));
                        break;
                    case TakeoverFrame.ListenersEnd:
                        return sockets;
                    default:
                        message.CloseDescriptors();
                        throw new IOException("The process that runs says something that has no meaning here.");
                }
            }
        }
        catch (Exception problem) when (problem is IOException or InvalidDataException)
        {
            sockets.ForEach(one => one.Socket.Dispose());
            throw problem as IOException ?? new IOException(problem.Message, problem);
        }
    }

    private async Task<TakeoverCount> Run(IReadOnlyCollection<int> taken, SessionServer sessions)
    {
        try
        {
            using (var ready = new SecretWriter())
            {
                ready.Int(taken.Count);
                foreach (var place in taken)
                {
                    ready.Int(place);
                }
                _channel.Send(TakeoverFrame.Ready, ready.Written);
            }
            while (true)
            {
                using var message = Next();
                if (message.Type == TakeoverFrame.End)
                {
                    var end = ReadEnd(message.Body);
                    AwaitEnd();
                    return end;
                }
                Take(message, sessions);
            }
        }
        catch (InvalidDataException problem)
        {
            throw new IOException(problem.Message, problem);
        }
        finally
        {
            // The other process goes on with these.
            _channel.Break();
            foreach (var session in _waiting.Values)
            {
                await session.DropAsync();
            }
        }
    }

    private TakeoverMessage Next() =>
        _channel.Receive(s_word) ?? throw new IOException("The process that ran has ended, or goes on by itself.");

    // The other process closes when the service manager knows this one as the main process.
    private void AwaitEnd()
    {
        try
        {
            _channel.Receive(s_taking)?.CloseDescriptors();
        }
        catch (IOException)
        {
            // it takes its time, and has nothing more to say
        }
    }

    private void Take(in TakeoverMessage message, SessionServer sessions)
    {
        var from = new FieldReader(message.Body);
        var number = from.Int();
        switch (message.Type)
        {
            case TakeoverFrame.Session:
                TakeSession(message, number, sessions);
                break;
            case TakeoverFrame.Go when _waiting.Remove(number, out var session):
                session.Begin();
                _begun++;
                break;
            // it closes two descriptors, on their loop
            case TakeoverFrame.Keep when _waiting.Remove(number, out var session):
                _ = session.DropAsync();
                break;
            default:
                message.CloseDescriptors();
                throw new IOException("The process that ran says something that has no meaning here.");
        }
    }

    private void TakeSession(in TakeoverMessage message, int number, SessionServer sessions)
    {
        var reason = KeptReason.NoDescriptors;
        if (message.Descriptors is [var client, var server] && !message.HasLost
            && sessions.TakeOver(message.Body.AsSpan(sizeof(int)), client, server, out reason) is { } session)
        {
            _waiting.Add(number, session);
            using var have = new SecretWriter();
            have.Int(number);
            _channel.Send(TakeoverFrame.Have, have.Written);
            return;
        }
        message.CloseDescriptors();
        using var refusal = new SecretWriter();
        refusal.Int(number);
        refusal.Text(Words.Of(reason));
        _channel.Send(TakeoverFrame.Refuse, refusal.Written);
    }

    private static string ReadText(byte[] body) => new FieldReader(body).Text();

    private static string ReadRelease(byte[] body)
    {
        var from = new FieldReader(body);
        _ = from.Int();   // the version: there is one so far
        return from.Text();
    }

    private static ListeningSocket ReadListener(in TakeoverMessage message)
    {
        if (message.Descriptors is not [var descriptor])
        {
            message.CloseDescriptors();
            throw new IOException("A listening socket did not arrive: may this process open so many files?");
        }
        var socket = new Socket(new SafeSocketHandle(descriptor, ownsHandle: true));
        try
        {
            var from = new FieldReader(message.Body);
            return new ListeningSocket((ListeningKind)from.Byte(), from.Text(), from.Text(), from.Boolean(), socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static TakeoverCount ReadEnd(byte[] body)
    {
        var from = new FieldReader(body);
        var handedOver = from.Int();
        var kept = new Dictionary<KeptReason, int>();
        for (var left = from.Int(); left > 0; left--)
        {
            var reason = Words.Parse<KeptReason>(from.Text()) ?? KeptReason.Busy;
            kept[reason] = kept.GetValueOrDefault(reason) + from.Int();
        }
        return new TakeoverCount(handedOver, kept);
    }

    [LoggerMessage(EventId = 6425, Level = LogLevel.Information,
        Message = "Taking over from a process of release {Release}")]
    private partial void LogWelcome(string release);

    [LoggerMessage(EventId = 6426, Level = LogLevel.Warning,
        Message = "There is no process to take over from at {Path} ({Problem}): this one starts as usual")]
    private static partial void LogNobody(ILogger logger, string path, string problem);
}
