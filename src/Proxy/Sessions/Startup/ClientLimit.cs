using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions.Startup;

/// <summary>The time limit of a client that is not joined yet. When it passes, a connection is aborted.</summary>
/// <param name="client">The client's connection: the one that is aborted unless another one is watched.</param>
internal sealed class ClientLimit(ITransportConnection client) : Expiring
{
    private ITransportConnection? _watched;
    private Action<Expiring>? _instead;
    private bool _hasPassed;

    /// <summary>The limit has passed, and a connection was aborted for it.</summary>
    public bool HasPassed => Volatile.Read(ref _hasPassed);

    /// <summary>Aborts this connection, instead of the client's, when the deadline passes.</summary>
    public void Watch(ITransportConnection connection, long deadline)
    {
        Volatile.Write(ref _watched, connection);
        Deadline = deadline;
    }

    /// <summary>Lets something else decide what happens at the deadline; null: the connection is aborted.</summary>
    public void Defer(Action<Expiring>? instead)
    {
        Volatile.Write(ref _hasPassed, false);
        Volatile.Write(ref _instead, instead);
    }

    /// <summary>There is no limit any more, for now.</summary>
    public void Lift()
    {
        Deadline = long.MaxValue;
        Volatile.Write(ref _watched, null);
    }

    /// <summary>The limit counts as passed; the caller has aborted the connection.</summary>
    public void Pass() => Volatile.Write(ref _hasPassed, true);

    /// <inheritdoc/>
    internal override void Expire()
    {
        if (Volatile.Read(ref _instead) is { } instead)
        {
            instead(this);
            return;
        }
        Pass();
        (Volatile.Read(ref _watched) ?? client).Abort();
    }
}
