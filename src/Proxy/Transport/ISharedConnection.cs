namespace Routing.Proxy.Transport;

/// <summary>A connection that another process can go on with, because all of its state is its socket's.</summary>
internal interface ISharedConnection : ITransportConnection
{
    /// <summary>
    /// Tells what another process needs. On the connection's loop, while no relay and no read or write uses it; it
    /// stays usable. Nothing of the socket is read until its input is, or a relay begins.
    /// </summary>
    /// <returns>Null: the peer has ended, the connection broke, or something is not sent yet.</returns>
    ValueTask<SharedSocket?> ShareAsync();
}

/// <summary>A connected socket that two processes hold: one alone may use it at a time.</summary>
/// <param name="Descriptor">The descriptor in this process.</param>
/// <param name="Unread">What was received and not taken.</param>
internal readonly record struct SharedSocket(int Descriptor, ReadOnlyMemory<byte> Unread);
