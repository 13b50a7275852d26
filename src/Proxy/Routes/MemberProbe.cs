using System.Collections.Frozen;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Routes;

/// <summary>
/// Asks the members that nothing proves alive whether they still answer, and tells the router which ones do not.
/// </summary>
/// <remarks>
/// A member proves by its key in the store that it is alive. While the store is silent, or when the key is gone, the
/// last known routes go on, but only as long as the servers behind them live: a server that is frozen, or cut off
/// without a reset, would keep its clients for ever. Any <see cref="LifeSign"/> counts. A refusal and a reset count,
/// too: then the sessions end by themselves.
/// </remarks>
internal sealed class MemberProbe : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly Router _router;
    private readonly LifeSign _sign;
    private readonly TimeProvider _time;
    private readonly Func<SessionSettings> _settings;
    private readonly Func<ProxyProtocolVersion> _header;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, Watched> _watched = new(StringComparer.Ordinal);
    private readonly Task _running;

    /// <summary>Begins.</summary>
    /// <param name="router">Knows which members nothing proves alive; is told which ones are silent.</param>
    /// <param name="transport">Connects.</param>
    /// <param name="time">The clock.</param>
    /// <param name="settings">The settings of now.</param>
    /// <param name="header">The PROXY header that members expect now.</param>
    public MemberProbe(Router router, ITransport transport, TimeProvider time, Func<SessionSettings> settings,
        Func<ProxyProtocolVersion> header)
    {
        (_router, _sign, _time, _settings, _header) = (router, new LifeSign(transport, time), time, settings, header);
        _running = RunAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        await Task.WhenAll(_watched.Values.Select(one => one.Asking));
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        using var timer = new PeriodicTimer(s_interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                Look();
            }
        }
        catch (OperationCanceledException)
        {
            // disposed of
        }
    }

    private void Look()
    {
        var limit = _settings().SilenceTime;
        var unvouched = limit > TimeSpan.Zero ? _router.Unvouched() : [];
        foreach (var gone in _watched.Keys.Except(unvouched.Select(one => one.Member)).ToList())
        {
            _watched.Remove(gone);
        }
        foreach (var target in unvouched)
        {
            if (!_watched.TryGetValue(target.Member, out var member))
            {
                _watched.Add(target.Member, member = new Watched { HeardAt = _time.GetTimestamp() });
            }
            if (member.Asking.IsCompleted)
            {
                member.Asking = AskAsync(target, member);
            }
        }
        _router.Mute(_watched
            .Where(one => one.Value.InVain > 1 && _time.GetElapsedTime(one.Value.HeardAt) >= limit)
            .Select(one => one.Key).ToFrozenSet(StringComparer.Ordinal));
    }

    // Never throws.
    private async Task AskAsync(RouteTarget target, Watched member)
    {
        if (await _sign.AskAsync(target, _header(), _settings().AnswerTimeout, _stop.Token))
        {
            (member.HeardAt, member.InVain) = (_time.GetTimestamp(), 0);
        }
        else
        {
            member.InVain++;
        }
    }

    /// <summary>What is known of one member.</summary>
    private sealed class Watched
    {
        private long _heardAt;
        private int _inVain;

        public long HeardAt
        {
            get => Volatile.Read(ref _heardAt);
            set => Volatile.Write(ref _heardAt, value);
        }

        public int InVain
        {
            get => Volatile.Read(ref _inVain);
            set => Volatile.Write(ref _inVain, value);
        }

        public Task Asking { get; set; } = Task.CompletedTask;
    }
}
