using Microsoft.Extensions.Logging;
using Routing.Proxy.Configuration;

namespace Routing.Proxy.Host;

internal sealed partial class ProxyHost
{
    // One reload at a time. A proxy that shuts down takes none: it would open listeners that it is closing.
    private async Task ReloadAsync()
    {
        await _reloading.WaitAsync();
        try
        {
            if (_isDraining)
            {
                LogNotReloaded("the proxy is shutting down");
                return;
            }
            _service.Reloading();
            try
            {
                await ReadAgainAsync();
            }
            finally
            {
                _service.Ready();
            }
        }
        finally
        {
            _reloading.Release();
        }
    }

    // All or nothing: what can be refused (values, addresses, certificates) comes first.
    private async Task ReadAgainAsync()
    {
        try
        {
            var result = ProxySettingsReader.Load(_path, _environment);
            foreach (var problem in result.Warnings.Concat(result.Errors))
            {
                LogSettings(problem.ToString());
            }
            if (result.Settings is { } next)
            {
                await TakeAsync(WithinDescriptors(next));
                LogReloaded();
            }
            else
            {
                LogNotReloaded("it has errors");
            }
        }
        catch (Exception problem) when (problem is IOException or InvalidOperationException)
        {
            LogNotReloaded(problem.Message);
        }
    }

    private async ValueTask TakeAsync(ProxySettings next)
    {
        var opened = _listeners.Open(next.Listeners, _settings.ReusePort, GivenSockets.None);
        try
        {
            _sessions.Reload(next.Listeners, next.Sessions);
        }
        catch
        {
            ListenerSet.Close(opened);
            throw;
        }
        var change = ProxySettingsChange.Between(_settings, next);
        foreach (var name in change.NeedRestart)
        {
            LogNeedsRestart(name);
        }
        _settings = change.Effective;
        _router.Reload(next.Listeners);
        await _listeners.AdoptAsync(next.Listeners, opened, GivenSockets.None);
        _log.Reload(next.Log);
    }

    [LoggerMessage(EventId = 6411, Level = LogLevel.Error,
        Message = "The configuration was not reloaded, the old one stays in force: {Problem}")]
    private partial void LogNotReloaded(string problem);

    [LoggerMessage(EventId = 6412, Level = LogLevel.Information, Message = "The configuration was reloaded")]
    private partial void LogReloaded();

    [LoggerMessage(EventId = 6413, Level = LogLevel.Warning,
        Message = "The setting {Name} has changed; the new value takes effect when the proxy is started again")]
    private partial void LogNeedsRestart(string name);
}
