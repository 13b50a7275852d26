using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Routes;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions;

internal sealed partial class Newcomer
{
    /// <summary>From the start-up message to the joined session: routes, tries unseen, relays the login.</summary>
    private sealed partial class Login(Newcomer owner, StartupMessage? message, byte[] packet, bool isOpaque)
    {
        private const int LongestPause = 8;

        private readonly SessionHub _hub = owner._hub;
        private readonly SessionSettings _settings = owner._settings;
        private readonly ListenerModel _listener = owner._listener;
        private readonly List<string> _tried = [];
        private long _giveUpAt;
        private int _failures;
        private (string Code, string Message) _lastFailure;

        /// <summary>TLS was to pass through, and the member does none.</summary>
        public bool IsDeclined { get; private set; }

        private ITransportConnection Client => owner._client;

        public async ValueTask RunAsync()
        {
            var begun = _hub.Time.GetTimestamp();
            while (true)
            {
                var choice = _hub.Router.Choose(_listener.Name, _tried);
                if (choice.Target is null)
                {
                    choice = await HoldAsync();
                    if (choice.Target is null)
                    {
                        await RefuseAsync(choice);
                        return;
                    }
                }
                var (target, ticket) = (choice.Target, choice.Ticket);
                ITransportConnection? server = null;
                LoginFailure lastFailure;
                try
                {
                    // The first attempt is not watched: it mostly takes no longer than the watching would.
                    (server, var failure) = _failures == 0 ? await AttemptAsync(target, CancellationToken.None)
                        : await WhileClientStaysAsync(gone => AttemptAsync(target, gone), static late => late.Server?.Abort());
                    if (failure is null)
                    {
                        _hub.Router.NoteSuccess(target);
                        if (isOpaque ? JoinOpaque(target, server!, ticket, begun) : await RelayLoginAsync(target, server!, ticket, begun))
                        {
                            ticket = null;   // the session's now
                            server = null;
                        }
                        return;
                    }
                    if (IsDeclined)
                    {
                        return;
                    }
                    Note(target, failure);
                    lastFailure = failure;
                }
                finally
                {
                    server?.Abort();
                    ticket?.Dispose();
                }
                if (_hub.Time.GetTimestamp() >= _giveUpAt || (lastFailure.IsLasting && _failures > 1))
                {
                    await owner.RefuseAsync(
                        RefusalReason.MemberFailed, _lastFailure.Code, _lastFailure.Message,
                        $"Tried for {_settings.RetryTime.TotalSeconds:0.#} s: {string.Join(", ", _tried)}.", "Connect again in a moment.");
                    return;
                }
                await PauseAsync();
            }
        }

        // Waits for better times.
        private async ValueTask<RouteChoice> HoldAsync()
        {
            var begun = _hub.Time.GetTimestamp();
            try
            {
                var choice = await WhileClientStaysAsync(
                    gone => _hub.Router.HoldAsync(_listener.Name, _tried, gone), static choice => choice.Ticket?.Dispose());
                _hub.Events.Held(_listener.Name, _hub.Time.GetElapsedTime(begun), choice.Target is not null);
                return choice;
            }
            catch (IOException)
            {
                _hub.Events.Held(_listener.Name, _hub.Time.GetElapsedTime(begun), routed: false);
                throw;
            }
        }

        // Does something that may take its time, and gives it up when the client goes away meanwhile.
        private async ValueTask<T> WhileClientStaysAsync<T>(Func<CancellationToken, ValueTask<T>> work, Action<T> undo)
        {
            using var gone = new CancellationTokenSource();
            var watch = WatchClientAsync(gone);
            T? result = default;
            var isDone = false;
            try
            {
                result = await work(gone.Token);
                isDone = true;
            }
            catch (OperationCanceledException)
            {
                // the client is gone: told below
            }
            await new LoopSwitch(Client);
            if (!watch.IsCompleted)
            {
                Client.Input.CancelPendingRead();
            }
            await watch;
            await new LoopSwitch(Client);
            if (!gone.IsCancellationRequested)
            {
                return result!;
            }
            if (isDone)
            {
                undo(result!);
            }
            throw new IOException("The client went away while it waited.");
        }

        private async Task WatchClientAsync(CancellationTokenSource gone)
        {
            try
            {
                var result = await Client.Input.ReadAsync();
                // One that has sent its statements and then shut its sending side down still waits for the answers.
                var isGone = result is { IsCompleted: true, IsCanceled: false, Buffer.IsEmpty: true };
                Client.Input.AdvanceTo(result.Buffer.Start, result.Buffer.Start);
                if (isGone)
                {
                    await gone.CancelAsync();
                }
            }
            catch (Exception error) when (IsOfConnection(error))
            {
                await gone.CancelAsync();
            }
        }

        private bool JoinOpaque(RouteTarget target, ITransportConnection server, IDisposable? ticket, long begun)
        {
            Open(target, server, null, null, ticket, begun, isReplication: false);
            return true;
        }

        private void Open(
            RouteTarget target, ITransportConnection server, SessionTap? tap, BackendKey? key, IDisposable? ticket, long begun, bool isReplication)
        {
            var session = new Session(_hub, _listener, target, Client, server, tap, key, ticket, owner._place, isReplication);
            session.Announce();
            Begin(session, target, begun);
        }

        private void Begin(Session session, RouteTarget target, long begun)
        {
            owner._place = default;   // the session gives it back
            _hub.Events.Opened(_listener.Name, target.Member, _hub.Time.GetElapsedTime(begun));
            session.Start();
        }

        private void Note(RouteTarget target, LoginFailure failure)
        {
            if (_failures++ == 0)
            {
                _giveUpAt = _hub.After(_settings.RetryTime);
            }
            if (!_tried.Contains(target.Member))
            {
                _tried.Add(target.Member);
                _failures = 1;
            }
            _hub.Events.AttemptFailed(_listener.Name, target.Member, failure);
            _hub.Router.NoteFailure(target, failure);
            _lastFailure = (failure.Code, failure.SentenceOf(target.Member));
        }

        private async ValueTask PauseAsync()
        {
            // Another member is tried at once, the same one again after a pause that grows.
            if (_failures > 1)
            {
                var pause = _settings.RetryPause * Math.Min(1 << Math.Min(_failures - 2, 8), LongestPause);
                await WhileClientStaysAsync(
                    async gone =>
                    {
                        await Task.Delay(pause, _hub.Time, gone);
                        return true;
                    },
                    static _ => { });
            }
        }

        private ValueTask RefuseAsync(in RouteChoice choice)
        {
            var (reason, code) = choice.Reason switch
            {
                RouteReason.QueueFull => (RefusalReason.QueueFull, SqlState.TooManyConnections),
                RouteReason.Draining => (RefusalReason.Draining, SqlState.CannotConnectNow),
                _ => (RefusalReason.NoTarget, SqlState.CannotConnectNow),
            };
            return owner.RefuseAsync(reason, code, choice.Sentence);
        }
    }
}
