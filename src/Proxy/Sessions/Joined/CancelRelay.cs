using System.Buffers;
using System.Net.Sockets;
using Routing.Proxy.Members;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// Sends a cancel request to the server of the session that it names, and tells the client when the server is done with
/// it.
/// </summary>
/// <remarks>
/// The client waits for the end of its connection: closed too early, the cancel could hit its next query.
/// </remarks>
internal sealed class CancelRelay(SessionHub hub, ListenerModel listener, long begun)
{
    /// <summary>Sends the request, and closes the client's connection. On the client's loop.</summary>
    public async ValueTask RunAsync(ITransportConnection client, byte[] packet)
    {
        var outcome = await SendAsync(client, packet);
        hub.Events.Cancelled(listener.Name, outcome);
        await client.EndAsync(TimeSpan.Zero);
    }

    private async ValueTask<CancelOutcome> SendAsync(ITransportConnection client, byte[] packet)
    {
        if (hub.Time.GetElapsedTime(begun) > hub.Settings.CancelMaximumAge)
        {
            return CancelOutcome.TooOld;
        }
        if (hub.Cancels.Find(CancelRequest.KeyOf(packet)) is { } session)
        {
            var (target, key) = session.Whereabouts;
            return await DeliverAsync(client, target, session.Listener, key is { } other
                ? CancelRequest.PacketOf(other)   // its client has kept the key of the server that it began at
                : packet);
        }
        if (!hub.Settings.BroadcastUnknownCancels)
        {
            return await PassOnAsync(client, packet);
        }
        var targets = new Dictionary<string, Session>(StringComparer.Ordinal);
        hub.Sessions.ForEach(targets, static (all, one) => all[one.Target.Member] = one);
        foreach (var one in targets.Values)
        {
            _ = await DeliverAsync(client, one.Target, one.Listener, packet);
        }
        return CancelOutcome.Broadcast;
    }

    // A key that no session here has may be that of a session: TLS that passes through hides keys, another process may
    // share the port, and this one may have been started a moment ago. So it goes to the members that a session of this
    // listener can be at.
    private async ValueTask<CancelOutcome> PassOnAsync(ITransportConnection client, byte[] packet)
    {
        var targets = hub.Router.TargetsOf(listener.Name);
        if (targets.IsEmpty)
        {
            return CancelOutcome.Unknown;
        }
        var outcomes =
            await Task.WhenAll(targets.Select(target => DeliverAsync(client, target, listener, packet).AsTask()));
        await new LoopSwitch(client);
        return outcomes.Contains(CancelOutcome.Delivered) ? CancelOutcome.PassedOn : outcomes[0];
    }

    private async ValueTask<CancelOutcome> DeliverAsync(
        ITransportConnection client, RouteTarget target, ListenerModel model, byte[] packet)
    {
        using var limit = new CancellationTokenSource(hub.Settings.CancelTimeout, hub.Time);
        ITransportConnection server;
        try
        {
            using var connecting = new CancellationTokenSource(hub.Settings.ConnectTimeout, hub.Time);
            server = await Dialer.DialAsync(
                hub.Transport, target, client, model.Config.MemberTuning, hub.Time, connecting.Token);
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            return CancelOutcome.Failed;
        }
        await using var abort =
            limit.Token.UnsafeRegister(static state => ((ITransportConnection)state!).Abort(), server);
        try
        {
            if (model.Config.ProxyProtocolToMember is not ProxyProtocolVersion.None and var version)
            {
                server.Output.Write(ProxyHeader.Write(version, client.RemoteEndPoint, client.LocalEndPoint));
            }
            if (model.MemberTls is { } tls)
            {
                var (encrypted, failure) = await tls.ConnectAsync(server, target.HostName);
                if (failure is not null)
                {
                    server.Abort();
                    return CancelOutcome.Failed;
                }
                server = encrypted!;
            }
            server.Output.Write(packet);
            await server.Output.FlushAsync();
            while (true)
            {
                var result = await server.Input.ReadAsync();
                server.Input.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    await server.DisposeAsync();
                    return CancelOutcome.Delivered;
                }
            }
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException
            or InvalidOperationException)
        {
            server.Abort();
            // A reset is an end as well: the postmaster is done with it.
            return limit.IsCancellationRequested ? CancelOutcome.Unanswered : CancelOutcome.Delivered;
        }
    }
}
