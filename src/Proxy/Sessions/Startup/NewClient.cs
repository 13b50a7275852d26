using System.Net;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Startup;

/// <summary>
/// A client that is not joined to a server yet: its connection, what is known of it, and its time limit.
/// </summary>
internal sealed class NewClient
{
    private readonly SessionHub _hub;

    /// <summary>Takes the connection over.</summary>
    public NewClient(SessionHub hub, ListenerModel listener, ITransportConnection connection)
    {
        (_hub, Listener, Settings, Connection, Limit) =
            (hub, listener, hub.Settings, connection, new ClientLimit(connection));
        connection.Tune(listener.Config.ClientTuning);
    }

    /// <summary>The listener that accepted the client.</summary>
    public ListenerModel Listener { get; }

    /// <summary>The settings that were in force when the client came.</summary>
    public SessionSettings Settings { get; }

    /// <summary>The client's connection: the encrypted one once TLS is agreed on.</summary>
    public ITransportConnection Connection { get; set; }

    /// <summary>Its time limit.</summary>
    public ClientLimit Limit { get; }

    /// <summary>The client's address, by the PROXY header, else by the socket; null for a Unix domain socket.</summary>
    public IPEndPoint? Source { get; set; }

    /// <summary>The address that the client connected to, likewise.</summary>
    public EndPoint? Destination { get; set; }

    /// <summary>The proxy does TLS with the client.</summary>
    public bool IsEncrypted { get; set; }

    /// <summary>TLS passes through: the client has no answer to its wish yet, and can't read words.</summary>
    public bool IsOpaque { get; set; }

    /// <summary>The places that the client takes of the limits of sessions.</summary>
    public SessionPlace Place { get; set; }

    /// <summary>Turns the client away, in words where the refusal has some and the client can read them.</summary>
    public async ValueTask TurnAwayAsync(Refusal refusal)
    {
        if (refusal.Code is not { } code || IsOpaque)
        {
            Close(refusal);
            return;
        }
        Note(refusal);
        Limit.Lift();
        ErrorResponse.WriteFatal(Connection.Output, code, refusal.Message ?? "", refusal.Detail, refusal.Hint);
        await Connection.EndAsync(Settings.Linger);
    }

    /// <summary>Turns the client away without a word.</summary>
    public void Close(Refusal refusal)
    {
        Note(refusal);
        Connection.Abort();
    }

    /// <summary>Counts and logs a refusal; the caller closes the connection.</summary>
    public void Note(Refusal refusal)
    {
        _hub.Events.Refused(Listener.Name, refusal.Reason);
        _hub.Refusals.Note(Listener.Name, refusal.Reason, Source, refusal.Message);
    }
}
