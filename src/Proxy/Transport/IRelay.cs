namespace Routing.Proxy.Transport;

/// <summary>Moves bytes between two joined connections until one of them ends or it is told to stop.</summary>
/// <remarks>
/// A client may send its statements, shut down its sending side, and read the answers: when its stream has ended and
/// what it sent was delivered, the relay shuts down the sending side of the server's connection, and goes on until the
/// server has answered everything and ends. The end of the server's stream ends the relay at once. The relay does not
/// close the connections: afterwards both belong to the caller again, with working pipes (as far as they live), so that
/// a last message can be sent to the client, or the client joined again, to the same server or to another one: what a
/// peer has sent and the relay has not passed on stands in the peer's input, and what it passed on and the kernel has
/// not taken yet in the receiver's output, which has to be flushed first.
/// </remarks>
internal interface IRelay
{
    /// <summary>Bytes taken from the client so far. Any thread.</summary>
    long FromClient { get; }

    /// <summary>Bytes taken from the server so far. Any thread.</summary>
    long FromServer { get; }

    /// <summary>
    /// How many of the last bytes that were taken from the client have certainly not been sent to the server: no
    /// kernel has taken them. Known when the relay has ended.
    /// </summary>
    long Unsent { get; }

    /// <summary>
    /// Timestamp of the last byte in any direction, for idle time-outs; coarse (about a second). Any thread.
    /// </summary>
    long LastActivity { get; }

    /// <summary>
    /// Moves the bytes until the relay ends. Called once, on the connections' loop. Never throws: every ending is a
    /// value.
    /// </summary>
    ValueTask<RelayEnd> RunAsync();

    /// <summary>
    /// Asks it to stop between two messages of the server, from any thread: nothing more is read from the client, and
    /// the server's bytes go on until the tap says that the client stands between two messages, for
    /// <paramref name="grace"/> at most.
    /// </summary>
    void StopAtBoundary(TimeSpan grace);

    /// <summary>
    /// Asks it to stop when nothing is asked for and no transaction is open, from any thread: both directions go on
    /// until then, for <paramref name="grace"/> at most; then the relay stops at once. Nothing changes once it was
    /// asked to stop at a boundary.
    /// </summary>
    void StopAtRest(TimeSpan grace);

    /// <summary>
    /// Asks it to stop when both peers have sent whole messages only and have taken them all, from any thread: both
    /// directions go on until then. Opaque traffic stops at once. A relay of connections that can't be shared
    /// (<see cref="ISharedConnection"/>) does nothing. The other orders are sharper.
    /// </summary>
    void StopBetweenMessages();

    /// <summary>Takes <see cref="StopBetweenMessages"/> back, if the relay has not stopped yet. Any thread.</summary>
    void GoOn();
}

/// <summary>How a relay ended.</summary>
internal enum RelayEnd
{
    /// <summary>
    /// The client ended its stream first; the server had all of it, and has ended, or the client took no more answers.
    /// </summary>
    ClientClosed,

    /// <summary>The server closed in good order; all it sent was delivered.</summary>
    ServerClosed,

    /// <summary>The client's connection broke.</summary>
    ClientBroke,

    /// <summary>The server's connection broke.</summary>
    ServerBroke,

    /// <summary>The relay was told to stop.</summary>
    Stopped,

    /// <summary>
    /// The tap has withheld a message of the server: it is the first that stands in the server's input.
    /// </summary>
    Withheld,

    /// <summary>No relay ends so: it was told to stop for a while, and goes on.</summary>
    Held,

    /// <summary>No relay ends so: it was told to stop, and another process goes on with both connections.</summary>
    HandedOver,
}

/// <summary>
/// Looks at the bytes of a joined session as they pass; called on the loop, before they are sent on; never keeps the
/// span.
/// </summary>
internal abstract class RelayTap
{
    /// <summary>Bytes that the client sent.</summary>
    public abstract void FromClient(ReadOnlySpan<byte> bytes);

    /// <summary>Bytes that the server sent.</summary>
    /// <returns>
    /// How many of them may pass: all; or those ahead of a message that is withheld, with which the relay ends. What is
    /// withheld counts as not seen.
    /// </returns>
    public abstract int FromServer(ReadOnlySpan<byte> bytes);

    /// <summary>The client has received whole messages only: a message may be put in here.</summary>
    public abstract bool ClientAtBoundary { get; }

    /// <summary>Nothing is asked for, no message is half sent, no transaction is open.</summary>
    public abstract bool AtRest { get; }

    /// <summary>It is at rest, and nothing that was begun waits for the client's next message.</summary>
    public virtual bool MayStop => AtRest;

    /// <summary>Both sides have sent whole messages only, whatever they wait for.</summary>
    public virtual bool IsBetweenMessages => AtRest;
}
