namespace Routing.Proxy.Wire;

/// <summary>What a <see cref="SessionTap"/> knows between two messages.</summary>
/// <remarks>It is a part of what one process hands to another: a change of it is a new format there.</remarks>
internal readonly record struct TapState
{
    /// <summary>The type of the client's last message.</summary>
    public required byte ClientMessage { get; init; }

    /// <summary>The type of the server's last message.</summary>
    public required byte ServerMessage { get; init; }

    /// <summary>Of the last ReadyForQuery.</summary>
    public required byte Status { get; init; }

    /// <summary>How far a <c>DISCARD ALL</c> has come.</summary>
    public required byte Discard { get; init; }

    /// <summary>What is simply so or not.</summary>
    public required TapFlags Flags { get; init; }

    /// <summary>Requests that a ReadyForQuery will answer.</summary>
    public required int Outstanding { get; init; }

    /// <summary>Those of them that were sent behind the end of a copy.</summary>
    public required int BehindCopy { get; init; }

    /// <summary>What is known of its statements.</summary>
    public required StatementMemory Statements { get; init; }
}

/// <summary>What a <see cref="StatementScan"/> remembers between two messages.</summary>
/// <param name="IsUnbound">The unnamed statement was parsed, and nothing was bound since.</param>
/// <param name="MayCommit">A COMMIT may have been asked for.</param>
/// <param name="UnnamedCommits">The unnamed statement is a COMMIT.</param>
/// <param name="ManyCommit">More than one named statement is a COMMIT.</param>
/// <param name="EveryExecute">A named portal of a COMMIT may be open.</param>
/// <param name="Committing">The hash of the name of the statement that is a COMMIT; 0: none.</param>
internal readonly record struct StatementMemory(
    bool IsUnbound, bool MayCommit, bool UnnamedCommits, bool ManyCommit, bool EveryExecute, uint Committing);

/// <summary>What a <see cref="SessionTap"/> knows that is simply so or not; its fields tell what it means.</summary>
[Flags]
internal enum TapFlags : uint
{
    /// <summary>It may have custom settings.</summary>
    HiddenSettings = 1,

    /// <summary>Extended messages came without a Sync behind them.</summary>
    Unsynced = 1 << 1,

    /// <summary>Something that may change data is under way.</summary>
    Executed = 1 << 2,

    /// <summary>A Query was sent since the last ReadyForQuery.</summary>
    Simple = 1 << 3,

    /// <summary>The client copies to the server.</summary>
    InCopy = 1 << 4,

    /// <summary>The copy was begun by a Query.</summary>
    CopySimple = 1 << 5,

    /// <summary>The client has ended the copy.</summary>
    CopyEnded = 1 << 6,

    /// <summary>The client has said Terminate.</summary>
    Terminated = 1 << 7,

    /// <summary>Statements came ahead of the end of the login.</summary>
    AskedEarly = 1 << 8,

    /// <summary>It is known whether the session holds state.</summary>
    Followed = 1 << 9,

    /// <summary>The session can be logged in again.</summary>
    Armed = 1 << 10,

    /// <summary>The session is assumed to hold no state.</summary>
    AssumesClean = 1 << 11,

    /// <summary>The session holds no state.</summary>
    Clean = 1 << 12,

    /// <summary>The session may be asked for its state.</summary>
    Asked = 1 << 13,

    /// <summary>The next message that would be withheld passes.</summary>
    LetsPass = 1 << 14,

    /// <summary>The server has told a changed parameter since the login.</summary>
    ToldParameters = 1 << 15,

    /// <summary>All that there are.</summary>
    All = (1 << 16) - 1,
}
