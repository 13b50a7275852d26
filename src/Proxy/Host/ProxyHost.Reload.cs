using Microsoft.Extensions.Logging;
using Routing.Proxy.Configuration;

namespace Routing.Proxy.Host;

internal sealed partial class ProxyHost
{
    // All or nothing: what can be refused (values, addresses, certificates) comes first.
    private async Task ReloadAsync()
    {
        await _reloading.WaitAsync();
        try
        {
            _service.Reloading();
            var result = ProxySettingsReader.Load(_path, _environment);
            foreach (var warning in result.Warnings)
            {
                LogSettings(warning.ToString());
            }
            foreach (var error in result.Errors)
            {
                LogSettings(error.ToString());
            }
            if (_isDraining)
            {
                LogNotReloaded("the proxy is shutting down");
            }
            else if (result.Settings is { } next)
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
        finally
        {
            _service.Ready();
            _reloading.Release();
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
        foreach (var name in FixedThatDiffer(_settings, next))
        {
            LogNeedsRestart(name);
        }
        _settings = next with
        {
            Scope = _settings.Scope, Namespace = _settings.Namespace, Etcd = _settings.Etcd, Rest = _settings.Rest,
            Admin = _settings.Admin,
            Transport = _settings.Transport, Loops = _settings.Loops, Favor = _settings.Favor,
            ReusePort = _settings.ReusePort,
        };
        _router.Reload(next.Listeners);
        await _listeners.AdoptAsync(next.Listeners, opened, GivenSockets.None);
        _log.Reload(next.Log);
    }

    private static bool Differ(IReadOnlyList<Uri>? before, IReadOnlyList<Uri>? next) =>
        !(before ?? []).SequenceEqual(next ?? []);

    private static IEnumerable<string> FixedThatDiffer(ProxySettings before, ProxySettings next)
    {
        if (before.Scope != next.Scope)
        {
            yield return "scope";
        }
        if (before.Namespace != next.Namespace)
        {
            yield return "namespace";
        }
        if (Differ(before.Etcd?.Endpoints, next.Etcd?.Endpoints)
            || (before.Etcd is { } old && next.Etcd is { } etcd && old with { Endpoints = etcd.Endpoints } != etcd))
        {
            yield return "etcd3";
        }
        if (Differ(before.Rest?.Endpoints, next.Rest?.Endpoints)
            || (before.Rest is { } oldRest && next.Rest is { } rest
                && oldRest with { Endpoints = rest.Endpoints } != rest))
        {
            yield return "rest";
        }
        if (before.Admin != next.Admin)
        {
            yield return "admin.listen";
        }
        if ((before.Transport, before.Loops, before.Favor, before.ReusePort)
            != (next.Transport, next.Loops, next.Favor, next.ReusePort))
        {
            yield return "transport, loops, favor, reuse_port";
        }
    }

    [LoggerMessage(EventId = 6411, Level = LogLevel.Error,
        Message = "The configuration was not reloaded, the old one stays in force: {Problem}")]
    private partial void LogNotReloaded(string problem);

    [LoggerMessage(EventId = 6412, Level = LogLevel.Information, Message = "The configuration was reloaded")]
    private partial void LogReloaded();

    [LoggerMessage(EventId = 6413, Level = LogLevel.Warning,
        Message = "{Name} has changed and takes effect only when the proxy starts again")]
    private partial void LogNeedsRestart(string name);
}
