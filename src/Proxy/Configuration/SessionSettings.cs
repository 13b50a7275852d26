namespace Routing.Proxy.Configuration;

/// <summary>What holds for the sessions of all listeners. Immutable: a reload brings a new one.</summary>
internal sealed record SessionSettings
{
    /// <summary>
    /// Sessions at once, all listeners together; 0 (the default): no limit but the host's. A session needs two
    /// descriptors, so the host should set what the process may open. Replication and cancel requests are not held back
    /// by it.
    /// </summary>
    public int MaximumSessions { get; init; }

    /// <summary>
    /// Sessions of one user at once, all listeners together; 0 (the default): no limit. Unknown under TLS pass-through.
    /// </summary>
    public int MaximumSessionsPerUser { get; init; }

    /// <summary>
    /// Connections that have not sent their whole start-up message yet; more are closed at once. Default 8,000.
    /// </summary>
    public int MaximumPending { get; init; } = 8_000;

    /// <summary>
    /// From accept to the whole start-up message, TLS included. Default 10 s; then the connection is closed.
    /// </summary>
    public TimeSpan StartupTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// One TLS handshake with a client. Default 5 s; never longer than what is left of <see cref="StartupTimeout"/>.
    /// </summary>
    public TimeSpan TlsTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>One attempt to connect to a member, its TLS handshake not included. Default 1.5 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(1.5);

    /// <summary>
    /// From the start-up message sent to a member (or its TLS handshake begun) to its first answer. Default 2 s. After
    /// half of it the member's postmaster is asked whether it lives: one that answers is slow, and gets as long again,
    /// for <see cref="LoginTimeout"/> in all; one that does not answer in the other half is silent, and the attempt has
    /// failed.
    /// </summary>
    public TimeSpan AnswerTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long a session at rest has to tell its state when it is to move; then it ends. Default 1 s.
    /// </summary>
    public TimeSpan StateTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long failed attempts are repeated unseen, from the first one on; then the client is told. Default 10 s,
    /// which is less than the shortest connect timeout of the usual drivers.
    /// </summary>
    public TimeSpan RetryTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Pause before a member that failed is tried again, doubled each time up to eight times this. Default 50 ms.
    /// </summary>
    public TimeSpan RetryPause { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// From a member's first answer to the end of the login. Default 120 s: longer than the server's own
    /// <c>authentication_timeout</c> (60 s), which is to speak first.
    /// </summary>
    public TimeSpan LoginTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>
    /// What a demoted leader gets to say 57P01 by itself before its sessions are cut. Default 300 ms.
    /// </summary>
    public TimeSpan CutGrace { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>What a session that has to move gets to come to rest before it is cut anyway. Default 60 s.</summary>
    public TimeSpan RestGrace { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long a reader that was led to the leader, because no replica took logins, stays there at least when one does
    /// again. Default 10 s.
    /// </summary>
    public TimeSpan FallbackStay { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A member that nothing proves alive (the store is silent, or its key is gone) and that has answered no probe for
    /// this long is not used, and its sessions are cut. Default 6 s; zero: never.
    /// </summary>
    public TimeSpan SilenceTime { get; init; } = TimeSpan.FromSeconds(6);

    /// <summary>
    /// How long a cut waits for the end of a message that is half sent to the client. Default 2 s; then no message is
    /// put in.
    /// </summary>
    public TimeSpan BoundaryGrace { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long a connection whose last message was sent is kept for the peer to read it. Default 2 s.
    /// </summary>
    public TimeSpan Linger { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a cancel request waits for the server's end of stream. Default 10 s.</summary>
    public TimeSpan CancelTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A cancel request that could not be sent on within this is dropped: it might hit the next query. Default 3 s.
    /// </summary>
    public TimeSpan CancelMaximumAge { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// How the proxy reads the verifiers of users, so that sessions that have logged in with SCRAM can be logged in
    /// again; null (the default): it does not.
    /// </summary>
    public AuthQuery? AuthQuery { get; init; }

    /// <summary>
    /// A cancel request with a key that no session here has is sent to every member with sessions of this process.
    /// Default no: it is sent to the members that a session of its listener can be at. Servers log a key that does not
    /// fit.
    /// </summary>
    public bool BroadcastUnknownCancels { get; init; }
}
