using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions.Login;

/// <summary>
/// Watches the client of a first attempt from the moment at which the member has turned out to be slow.
/// </summary>
/// <param name="client">The client.</param>
/// <param name="server">The connection to the member: it is aborted when the client goes away.</param>
/// <param name="isWatched">The client is watched already: this is a later attempt.</param>
internal sealed class SlowMemberWatch(ITransportConnection client, ITransportConnection server, bool isWatched)
    : IDisposable
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
            client.Post(static self => ((SlowMemberWatch)self!).Watch(), this);
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
            client.Input.CancelPendingRead();
        }
        await watching;
        await new LoopSwitch(client);
        return _gone.IsCancellationRequested;
    }

    /// <inheritdoc/>
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
        await ClientWatch.UntilGoneAsync(client, _gone);
        if (_gone.IsCancellationRequested)
        {
            server.Abort();
        }
    }
}
