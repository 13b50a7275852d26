using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions;

internal sealed partial class Newcomer
{
    private sealed partial class Login
    {
        /// <summary>Watches the client of a first attempt from the moment at which the member has turned out to be slow.</summary>
        /// <param name="login">The login.</param>
        /// <param name="server">The connection to the member: it is aborted when the client goes away.</param>
        /// <param name="isWatched">The client is watched already: this is a later attempt.</param>
        private sealed class SlowWatch(Login login, ITransportConnection server, bool isWatched) : IDisposable
        {
            private readonly Lock _lock = new();
            private readonly CancellationTokenSource _gone = new();
            private Task? _watching;
            private bool _isOver;

            /// <summary>Begins. Any thread.</summary>
            public void Begin()
            {
                if (!isWatched)
                {
                    login.Client.Post(static self => ((SlowWatch)self!).Watch(), this);
                }
            }

            /// <summary>Ends. On the client's loop.</summary>
            /// <returns>Whether the client went away.</returns>
            public async ValueTask<bool> EndAsync()
            {
                Task? watching;
                lock (_lock)
                {
                    _isOver = true;
                    watching = _watching;
                }
                if (watching is null)
                {
                    return false;
                }
                if (!watching.IsCompleted)
                {
                    login.Client.Input.CancelPendingRead();
                }
                await watching;
                await new LoopSwitch(login.Client);
                return _gone.IsCancellationRequested;
            }

            public void Dispose() => _gone.Dispose();

            private void Watch()
            {
                lock (_lock)
                {
                    if (!_isOver)
                    {
                        _watching = WatchAsync();
                    }
                }
            }

            private async Task WatchAsync()
            {
                await login.WatchClientAsync(_gone);
                if (_gone.IsCancellationRequested)
                {
                    server.Abort();
                }
            }
        }
    }
}
