using System.Net;
using System.Security.Authentication;
using Microsoft.Extensions.Logging;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Login;
using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Tls;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions;

/// <summary>
/// Takes one client through its start-up and its login, until it is joined to a server or refused. What it holds is
/// dropped then.
/// </summary>
internal sealed partial class Newcomer(SessionHub hub, ListenerModel listener, ITransportConnection connection)
{
    private readonly NewClient _client = new(hub, listener, connection);
    private readonly long _begun = hub.Time.GetTimestamp();
    private bool _isPending;

    /// <summary>Leads it in. On the client's loop; never throws.</summary>
    public async Task EnterAsync()
    {
        hub.Events.Accepted(listener.Name);
        if (!hub.Pending.TryTake(_client.Settings.MaximumPending))
        {
            _client.Close(new Refusal(RefusalReason.TooManyPending));
            return;
        }
        _isPending = true;
        _client.Limit.Deadline = hub.After(_client.Settings.StartupTimeout);
        hub.Deadlines.Add(_client.Limit);
        try
        {
            await LeadInAsync();
        }
        catch (AuthenticationException problem)
        {
            _client.Close(new Refusal(RefusalReason.TlsFailed, Message: TlsProblem.Of(problem)));
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            _client.Close(
                new Refusal(_client.Limit.HasPassed ? RefusalReason.StartupTimeout : RefusalReason.ClientGone));
        }
        catch (Exception error)
        {
            LogFault(hub.Logger, error);
            _client.Close(new Refusal(RefusalReason.ClientGone));
        }
        finally
        {
            EndPending();
            hub.Deadlines.Remove(_client.Limit);
            hub.Limits.Release(_client.Place);
        }
    }

    private async ValueTask LeadInAsync()
    {
        _client.Source = Plain(connection.RemoteEndPoint as IPEndPoint);
        _client.Destination = connection.LocalEndPoint;
        var startup = new ClientStartup(hub, _client);
        while (true)
        {
            switch (await startup.RunAsync())
            {
                case StartupOutcome.Refused { Refusal: var refusal }:
                    await _client.TurnAwayAsync(refusal);
                    return;
                case StartupOutcome.Cancel { Packet: var packet }:
                    EndPending();
                    _client.Limit.Lift();   // the relay has limits of its own
                    await new CancelRelay(hub, listener, _begun).RunAsync(_client.Connection, packet);
                    return;
                case StartupOutcome.Login { Request: var request }:
                    if (await LogInAsync(request))
                    {
                        return;
                    }
                    await startup.DeclineTlsAsync();
                    break;
            }
        }
    }

    // False: the member declined TLS, and the client goes on with its start-up.
    private async ValueTask<bool> LogInAsync(LoginRequest request)
    {
        EndPending();
        var startup = _client.Limit.Deadline;
        _client.Limit.Lift();
        _client.IsOpaque = request.IsOpaque;
        if (hub.IsDraining)
        {
            await _client.TurnAwayAsync(Refusal.Draining);
            return true;
        }
        if (!request.IsReplication && TryTakePlace(request.Message?.User) is { } limit)
        {
            await _client.TurnAwayAsync(limit);
            return true;
        }
        hub.Starting.Add(1);
        try
        {
            if (await new ClientLogin(hub, _client, request).RunAsync())
            {
                return true;
            }
        }
        finally
        {
            hub.Starting.Add(-1);
        }
        hub.Limits.Release(_client.Place);
        _client.Place = default;
        _client.IsOpaque = false;
        _client.Limit.Deadline = startup;
        return false;
    }

    private Refusal? TryTakePlace(string? user)
    {
        var settings = _client.Settings;
        var limit = hub.Limits.TryTake(settings, listener, user, out var place);
        _client.Place = place;
        return limit switch
        {
            null => null,
            RefusalReason.TooManyOfUser => Refusal.TooMany(
                limit.Value,
                $"too many sessions of user \"{user}\" in the proxy (max_sessions_per_user is "
                    + $"{settings.MaximumSessionsPerUser})"),
            RefusalReason.TooManyOnListener => Refusal.TooMany(
                limit.Value,
                $"too many sessions on the listener \"{listener.Name}\" of the proxy "
                + $"(max_sessions is {listener.Config.MaximumSessions})"),
            _ => Refusal.TooMany(limit.Value,
                $"too many sessions in the proxy (max_sessions is {settings.MaximumSessions})"),
        };
    }

    private void EndPending()
    {
        if (_isPending)
        {
            _isPending = false;
            hub.Pending.Release();
        }
    }

    // A socket of both families shows IPv4 addresses in their IPv6 form.
    private static IPEndPoint? Plain(IPEndPoint? point) =>
        point is { Address.IsIPv4MappedToIPv6: true } ? new IPEndPoint(point.Address.MapToIPv4(), point.Port) : point;

    [LoggerMessage(
        EventId = 6011, Level = LogLevel.Error, Message = "The login of a client failed: a fault of this program")]
    private static partial void LogFault(ILogger logger, Exception error);
}
