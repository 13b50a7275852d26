using Microsoft.Extensions.Logging;
using Routing.Driver.Diagnostics;

namespace Routing.Driver.Routes;

/// <summary>
/// Raises the application's event of changes, on another thread than the watch: one at a time, in order. Changes that
/// come close together are one event.
/// </summary>
internal sealed class TopologyAnnouncer(ClusterRouter router, ILogger logger)
{
    private readonly Lock _gate = new();
    private Picture? _told;
    private Picture? _newest;
    private bool _isRunning;

    public event EventHandler<TopologyChangedEventArgs>? Changed;

    public void Announce(Picture before, Picture now)
    {
        if (!IsWorthTelling(before, now))
        {
            return;
        }
        lock (_gate)
        {
            _told ??= before;
            _newest = now;
            if (_isRunning || Changed is null)
            {
                _told = _isRunning ? _told : null;
                return;
            }
            _isRunning = true;
        }
        router.Background.Add(() =>
        {
            TellAll();
            return Task.CompletedTask;
        });
    }

    // Positions in the WAL come with every heartbeat: they are no change.
    private static bool IsWorthTelling(Picture before, Picture now) =>
        before.HighestTerm != now.HighestTerm
        || !ReferenceEquals(before.LeaderPool, now.LeaderPool)
        || before.View.IsLive != now.View.IsLive
        || !before.View.Snapshot.Members.Values.Select(
            member => (member.Name, member.Address, member.Role, member.State))
            .SequenceEqual(now.View.Snapshot.Members.Values.Select(
                member => (member.Name, member.Address, member.Role, member.State)));

    private void TellAll()
    {
        while (true)
        {
            Picture before;
            Picture now;
            lock (_gate)
            {
                if (_newest is null || _told is null)
                {
                    _isRunning = false;
                    return;
                }
                (before, now) = (_told, _newest);
                (_told, _newest) = (null, null);
            }
            try
            {
                Changed?.Invoke(router, new TopologyChangedEventArgs(router.Describe(before), router.Describe(now)));
            }
            catch (Exception problem)
            {
                logger.HandlerFailed(router.Name, problem);
            }
        }
    }
}
