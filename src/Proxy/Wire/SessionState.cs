namespace Routing.Proxy.Wire;

/// <summary>What a session holds, as its server has told it; all texts in the client's encoding.</summary>
internal sealed record SessionState
{
    /// <summary>What can't be made anew at another server; null: nothing.</summary>
    public StateObstacle? Obstacle { get; init; }

    /// <summary>The role that it has set; <c>none</c>: none.</summary>
    public required byte[] Role { get; init; }

    /// <summary>Settings that were set in the session, and their values.</summary>
    public IReadOnlyList<(byte[] Name, byte[] Value)> Settings { get; init; } = [];

    /// <summary>Prepared statements.</summary>
    public IReadOnlyList<PreparedStatement> Statements { get; init; } = [];

    /// <summary>Channels that it listens to, quoted as identifiers.</summary>
    public IReadOnlyList<byte[]> Channels { get; init; } = [];
}

/// <summary>A prepared statement.</summary>
/// <param name="Name">Its name; not empty.</param>
/// <param name="Text">Its text; of one that was made by PREPARE, the text that holds that command.</param>
/// <param name="Types">The types of its parameters.</param>
/// <param name="IsCommand">It was made by PREPARE.</param>
internal sealed record PreparedStatement(byte[] Name, byte[] Text, uint[] Types, bool IsCommand);

/// <summary>State that can't be made anew at another server.</summary>
internal enum StateObstacle
{
    /// <summary>Cursors WITH HOLD.</summary>
    HeldCursors,

    /// <summary>Temporary tables, types, functions.</summary>
    TemporaryObjects,

    /// <summary>Advisory locks of the session.</summary>
    AdvisoryLocks,

    /// <summary>It acts as another user by SET SESSION AUTHORIZATION.</summary>
    SessionAuthorization,

    /// <summary>An extension that may keep connections of its own: <c>dblink</c>.</summary>
    Extension,

    /// <summary>The database has functions that may set custom settings or keep state in their language.</summary>
    Functions,
}
