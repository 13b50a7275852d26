using System.Collections.Concurrent;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions.Handing;
using Routing.Proxy.Sessions.Joined;

namespace Routing.Proxy.Takeover;

/// <summary>The old process's side: hands everything to another one, or goes on as if nothing had happened.</summary>
/// <remarks>
/// For each session: it is stopped between two messages; its sockets and its state are sent; the other process says
/// that it has them; from then on nothing here touches the sockets, and the other process is told to begin. Until that
/// word the other process touches nothing. Whatever fails before it, the session goes on here; whatever fails behind
/// it, the session is the other's. So no byte is read by both, and none by neither.
/// </remarks>
internal sealed class TakeoverGiver : ISessionCarrier, IDisposable
{
    private const int MostUnderWay = 64;   // the kernel bounds the descriptors that are on their way
    private static readonly TimeSpan s_word = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_start = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(5);

    private readonly TakeoverChannel _channel;
    private readonly ITakeoverHost _host;
    private readonly TimeProvider _time;
    private readonly int _process;
    private readonly SemaphoreSlim _room = new(MostUnderWay, MostUnderWay);
    private readonly ConcurrentDictionary<int, TaskCompletionSource<KeptReason?>> _asked = [];
    private readonly ConcurrentDictionary<Session, KeptReason> _refused = [];
    private readonly TaskCompletionSource<(int Lowest, int Highest, string Release)> _hello =
        NewSource<(int, int, string)>();
    private readonly TaskCompletionSource<int[]> _ready = NewSource<int[]>();
    private int _number;
    private int _underWay;
    private int _passed;
    private volatile bool _isBroken;

    /// <summary>Speaks with a process that has connected.</summary>
    /// <param name="channel">To it.</param>
    /// <param name="process">Its process id.</param>
    /// <param name="host">What there is to take over.</param>
    /// <param name="time">The clock.</param>
    public TakeoverGiver(TakeoverChannel channel, int process, ITakeoverHost host, TimeProvider time) =>
        (_channel, _process, _host, _time) = (channel, process, host, time);

    /// <summary>The other process has said what it is: it is no mere look whether anybody answers.</summary>
    public bool IsIntroduced => _hello.Task.IsCompletedSuccessfully;

    /// <summary>Hands over. Called once.</summary>
    /// <returns>What has become of the sessions; all of them stay here where it failed.</returns>
    /// <exception cref="IOException">
    /// The other process has failed, or speaks no version of ours; all goes on here.
    /// </exception>
    public async Task<TakeoverCount> RunAsync()
    {
        var receiving = Task.Factory.StartNew(
            Receive, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            return await HandOverAsync();
        }
        catch (TimeoutException)
        {
            throw new IOException("The new process did not say in time that it is ready.");
        }
        finally
        {
            Break();
            await receiving;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<bool> PassAsync(Session session, SessionParcel parcel, Func<bool> mayGo)
    {
        Interlocked.Increment(ref _underWay);
        await _room.WaitAsync();
        var number = Interlocked.Increment(ref _number);
        var answer = _asked[number] = NewSource<KeptReason?>();
        try
        {
            if (_isBroken)
            {
                return false;
            }
            // Not on the session's loop: the other process may be slow to take it.
            await Task.Run(() => SendSession(number, parcel));
            if (await answer.Task.WaitAsync(s_word, _time) is { } reason)
            {
                _refused[session] = reason;
                return false;
            }
            if (!mayGo())
            {
                SendNumber(TakeoverFrame.Keep, number);
                return false;
            }
            SendNumber(TakeoverFrame.Go, number);
            Interlocked.Increment(ref _passed);
            return true;
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            Break();
            return false;
        }
        finally
        {
            _asked.TryRemove(number, out _);
            _room.Release();
            Interlocked.Decrement(ref _underWay);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _channel.Dispose();

    private static TaskCompletionSource<T> NewSource<T>() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task<TakeoverCount> HandOverAsync()
    {
        var hello = await _hello.Task.WaitAsync(s_word, _time);
        if (TakeoverVersion.Common(hello.Lowest, hello.Highest) is not { } version)
        {
            throw Refuse($"release {RoutingVersion.Own} hands over by version {TakeoverVersion.Lowest} to "
                + $"{TakeoverVersion.Highest} of the conversation, release {hello.Release} takes over by "
                + $"{hello.Lowest} to {hello.Highest}");
        }
        if (await _host.BeginAsync() is not { } sockets)
        {
            throw Refuse("the process is shutting down");
        }
        int? successor = null;
        try
        {
            using (var welcome = new SecretWriter())
            {
                welcome.Int(version);
                welcome.Text(RoutingVersion.Own);
                _channel.Send(TakeoverFrame.Welcome, welcome.Written);
            }
            foreach (var socket in sockets)
            {
                SendListener(socket);
            }
            _channel.Send(TakeoverFrame.ListenersEnd);
            var taken = await _ready.Task.WaitAsync(s_start, _time);
            await _host.PauseAsync([.. taken.Where(at => at < sockets.Count).Select(at => sockets[at])]);
            var count = await PassSessionsAsync();
            _host.Leave();
            SendEnd(count);
            successor = _process;
            return count;
        }
        finally
        {
            _host.End(successor);
        }
    }

    private IOException Refuse(string sentence)
    {
        using var refusal = new SecretWriter();
        refusal.Text(sentence);
        _channel.Send(TakeoverFrame.Refusal, refusal.Written);
        return new IOException(sentence);
    }

    // Until every session that can be is handed over and every client has a session, or the patience is over.
    private async Task<TakeoverCount> PassSessionsAsync()
    {
        var until = _time.TimestampAfter(_host.Patience);
        while (true)
        {
            ThrowIfBroken();
            var left = new Counter();
            _host.Sessions.ForEach(
                (left, giver: this), static (state, session) => state.giver.Visit(session, state.left));
            if ((left.Count == 0 && _host.Sessions.Unjoined == 0) || _time.GetTimestamp() >= until)
            {
                break;
            }
            await Task.Delay(s_look, _time);
        }
        _host.Sessions.ForEach(0, static (_, session) => session.StayHere());
        while (Volatile.Read(ref _underWay) > 0)
        {
            await Task.Delay(s_look, _time);   // each of them ends in seconds
        }
        ThrowIfBroken();
        var kept = new Dictionary<KeptReason, int>();
        _host.Sessions.ForEach((kept, giver: this), static (state, session) =>
        {
            var reason = session.NotShared
                ?? (state.giver._refused.TryGetValue(session, out var said) ? said : KeptReason.Busy);
            state.kept[reason] = state.kept.GetValueOrDefault(reason) + 1;
        });
        return new TakeoverCount(Volatile.Read(ref _passed), kept);
    }

    private void Visit(Session session, Counter left)
    {
        if (session.NotShared is null && !_refused.ContainsKey(session))
        {
            left.Count++;
            session.HandOver(this);
        }
    }

    private void ThrowIfBroken()
    {
        if (_isBroken)
        {
            throw new IOException("The new process has ended, or does not answer.");
        }
    }

    private void Break()
    {
        _isBroken = true;
        _channel.Break();
    }

    private void SendListener(ListeningSocket socket)
    {
        using var listener = new SecretWriter();
        listener.Byte((byte)socket.Kind);
        listener.Text(socket.Name);
        listener.Text(socket.Address);
        listener.Boolean(socket.IsGiven);
        _channel.Send(
            TakeoverFrame.Listener, listener.Written, [(int)socket.Socket.SafeHandle.DangerousGetHandle()]);
    }

    private void SendSession(int number, SessionParcel parcel)
    {
        using var session = new SecretWriter();
        session.Int(number);
        SessionCodec.Write(session, parcel);
        _channel.Send(
            TakeoverFrame.Session, session.Written, [parcel.Client.Descriptor, parcel.Server.Descriptor]);
    }

    private void SendNumber(TakeoverFrame type, int number)
    {
        using var word = new SecretWriter();
        word.Int(number);
        _channel.Send(type, word.Written);
    }

    private void SendEnd(TakeoverCount count)
    {
        using var end = new SecretWriter();
        end.Int(count.HandedOver);
        end.Int(count.Kept.Count);
        foreach (var (reason, sessions) in count.Kept)
        {
            end.Text(Words.Of(reason));
            end.Int(sessions);
        }
        _channel.Send(TakeoverFrame.End, end.Written);
    }

    // On a thread of its own, until the conversation ends.
    private void Receive()
    {
        try
        {
            while (_channel.Receive(Timeout.InfiniteTimeSpan) is { } message)
            {
                using (message)
                {
                    message.CloseDescriptors();   // none are wanted
                    Take(message);
                }
            }
        }
        catch (Exception error) when (error is IOException or InvalidDataException)
        {
            // the same as its end
        }
        _isBroken = true;
        var over = new IOException("The new process has ended.");
        _ = _hello.TrySetException(over);
        _ = _ready.TrySetException(over);
        foreach (var answer in _asked.Values)
        {
            _ = answer.TrySetException(over);
        }
        // Nobody may wait for these.
        _ = _hello.Task.Exception;
        _ = _ready.Task.Exception;
    }

    private void Take(in TakeoverMessage message)
    {
        var from = new FieldReader(message.Body);
        switch (message.Type)
        {
            case TakeoverFrame.Hello:
                _hello.TrySetResult((from.Int(), from.Int(), from.Text()));
                break;
            case TakeoverFrame.Ready:
                var taken = new int[Math.Clamp(from.Int(), 0, message.Body.Length)];
                foreach (ref var place in taken.AsSpan())
                {
                    place = from.Int();
                }
                _ready.TrySetResult(taken);
                break;
            case TakeoverFrame.Have:
                Answer(from.Int(), null);
                break;
            case TakeoverFrame.Refuse:
                var number = from.Int();
                Answer(number, Words.Parse<KeptReason>(from.Text()) ?? KeptReason.UnknownState);
                break;
            default:
                throw new InvalidDataException("The new process says something that has no meaning here.");
        }
    }

    private void Answer(int number, KeptReason? reason)
    {
        if (_asked.TryGetValue(number, out var waiting))
        {
            waiting.TrySetResult(reason);
        }
    }

    private sealed class Counter
    {
        public int Count;
    }
}
