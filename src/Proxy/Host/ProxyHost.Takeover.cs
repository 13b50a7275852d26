using Microsoft.Extensions.Logging;
using Routing.Dcs;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions;
using Routing.Proxy.Takeover;

namespace Routing.Proxy.Host;

/// <content>How this process takes over from another one, and another one from it.</content>
internal sealed partial class ProxyHost
{
    private static readonly TimeSpan s_routes = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(10);

    private void BeginUpgrade()
    {
        if (_takeover is null)
        {
            LogNoTakeOver();
        }
        else if (!_isDraining)
        {
            _successor.Start();
        }
    }

    // Null: there is no process to take over from.
    private async ValueTask<TakeoverTaker?> ConnectAsync()
    {
        if (_settings.TakeOver is not { } path)
        {
            throw new InvalidOperationException("take_over names no socket: there is no way to the process that runs");
        }
        // The process that runs has routes: clients must not wait here for an etcd that does not answer.
        var until = _time.TimestampAfter(s_routes);
        while (_router.Table.View.Snapshot.Revision == 0)
        {
            if (_time.GetTimestamp() >= until)
            {
                throw new InvalidOperationException($"{Readiness.Sentence}: the process that runs goes on");
            }
            await Task.Delay(s_look, _time);
        }
        if (await TakeoverTaker.ConnectAsync(path, _logger) is not var (taker, sockets))
        {
            return null;
        }
        _taken.Add(sockets);
        return taker;
    }

    // False: the old process goes on, and this one has nothing of it.
    private async Task<bool> TakeSessionsAsync(TakeoverTaker taker)
    {
        try
        {
            var count = await taker.RunAsync(_taken.Used, _sessions);
            foreach (var (reason, sessions) in count.Kept)
            {
                _metrics.NotTakenOver(reason, sessions);
            }
            var why = string.Join(", ", count.Kept.Select(pair => $"{pair.Value} {Words.Of(pair.Key)}"));
            LogTaken(count.HandedOver, count.KeptInAll, why);
            return true;
        }
        catch (IOException problem) when (taker.HasSessions || !taker.IsOtherAlive)
        {
            LogHalfTaken(problem.Message);   // there are sessions, or no other process is there: this one goes on
            return true;
        }
        catch (IOException problem)
        {
            // The clients that it has accepted meanwhile are served to their end; those in the queues are the other's.
            LogNotTaken(problem.Message);
            await _listeners.PauseAsync([.. _listeners.Sockets.Select(one => one.Socket)]);
            _stop.TrySetResult();
            return false;
        }
    }

    [LoggerMessage(EventId = 6431, Level = LogLevel.Information,
        Message = "Took over: {Sessions} sessions go on here; {Kept} stay in the old process, which drains them "
            + "({Why})")]
    private partial void LogTaken(int sessions, int kept, string why);

    [LoggerMessage(EventId = 6432, Level = LogLevel.Error,
        Message = "The old process has ended, or has stopped handing over, before it was done; this one goes on with "
            + "what it has: {Problem}")]
    private partial void LogHalfTaken(string problem);

    [LoggerMessage(EventId = 6434, Level = LogLevel.Critical,
        Message = "Nothing was taken over, and the old process goes on; this one ends: {Problem}")]
    private partial void LogNotTaken(string problem);

    [LoggerMessage(EventId = 6433, Level = LogLevel.Warning,
        Message = "Told to start the program anew, but take_over names no socket at which it could take over")]
    private partial void LogNoTakeOver();

    /// <summary>What another process takes over.</summary>
    private sealed class HostTakeover : ITakeoverHost, IDisposable
    {
        private readonly ProxyHost _host;
        private readonly TakeoverServer _server;
        private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly CancellationTokenSource _stop = new();

        public HostTakeover(ProxyHost host) =>
            (_host, _server) = (host, new TakeoverServer(host._settings.TakeOver!, this, host._time, host._logger));

        public SessionServer Sessions => _host._sessions;

        public TimeSpan Patience => _host._settings.TakeOverTime;

        public async Task RunAsync(CancellationToken cancellationToken)
        {
            _server.Open();
            using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stop.Token);
            await _server.RunAsync(both.Token);
            _over.TrySetResult();
        }

        /// <summary>Takes nobody any more, and waits for one that is taking over.</summary>
        public async ValueTask EndAsync()
        {
            await _stop.CancelAsync();
            _server.Interrupt();
            await _over.Task;
        }

        public async ValueTask<IReadOnlyList<ListeningSocket>?> BeginAsync()
        {
            await _host._reloading.WaitAsync();
            if (_host._isDraining || _stop.IsCancellationRequested)
            {
                _host._reloading.Release();
                return null;
            }
            return
            [
                .. _host._listeners.Sockets,
                .. _host._taken.Admin.Select(pair => new ListeningSocket(
                    ListeningKind.Admin, "", pair.EndPoint.ToString()!, IsGiven: false, pair.Socket)),
            ];
        }

        public ValueTask PauseAsync(IReadOnlyList<ListeningSocket> taken) =>
            _host._listeners.PauseAsync([.. taken.Select(one => one.Socket)]);

        public void Leave() => _server.Close();

        public void End(int? successor)
        {
            if (successor is { } process)
            {
                _host._service.HandTo(process);
                _host._isReplaced = true;
                _host._stop.TrySetResult();
            }
            else
            {
                _host._listeners.Resume();
                if (!_server.IsOpen)
                {
                    _server.Open();
                }
            }
            _host._reloading.Release();
        }

        public void Dispose()
        {
            _server.Dispose();
            _stop.Dispose();
        }
    }
}
