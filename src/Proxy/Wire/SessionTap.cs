using Routing.Proxy.Transport;

namespace Routing.Proxy.Wire;

/// <summary>
/// Follows a session by its message headers: what is asked for and not answered, the state of the transaction, and
/// where it is safe to put in a message or to end.
/// </summary>
/// <remarks>
/// It sees every byte from the end of the start-up packet on. Each of Query, FunctionCall and Sync is answered by one
/// ReadyForQuery, and several may be under way. COPY FROM STDIN bends that: Sync messages that the server reads while
/// it copies are dropped, so the count starts anew with the first ReadyForQuery behind the copy.
/// <para>Told to <see cref="Follow"/> a session that may move, it also knows whether the session holds state, and
/// withholds what the server says unasked while the session may move: that may be the server's farewell.</para>
/// </remarks>
internal sealed class SessionTap : RelayTap
{
    private const byte Idle = (byte)'I';

    private MessageCursor _client;
    private MessageCursor _server;
    private StatementScan _statements;
    private FirstStatement? _first;   // null: no statement is repeated
    private HiddenSettingScan _hidden;
    private int _outstanding;      // requests that a ReadyForQuery will answer
    private int _behindCopy;       // those of them that were sent behind the end of a copy
    private byte _status;          // of the last ReadyForQuery; 0 during the login
    private bool _isUnsynced;      // extended messages without a Sync behind them
    private bool _hasExecuted;     // something that may change data is under way
    private bool _isSimple;        // a Query was sent since the last ReadyForQuery
    private bool _inCopy;
    private bool _isCopySimple;
    private bool _isCopyEnded;
    private bool _isTerminated;
    private bool _hasAskedEarly;   // statements came ahead of the end of the login
    private bool _isFollowed;
    private bool _isArmed;
    private bool _assumesClean;
    private bool _isClean;
    private bool _isAsked;         // it may be asked for its state: what can't be asked for is looked for
    private bool _isText;          // the client's message has a text that is looked at
    private bool _letsPass;
    private Discard _discard;
    private byte _tag;             // bytes of the tag that have matched; more than it has: it is another one

    private enum Discard : byte
    {
        None,
        Asked,       // by a Query, with nothing else under way: any Query, as far as is known
        Answered,    // as the one command that it was
    }

    /// <inheritdoc/>
    public override bool ClientAtBoundary => _server.AtBoundary;

    /// <summary>The server has received whole messages only.</summary>
    public bool ServerAtBoundary => _client.AtBoundary;

    /// <inheritdoc/>
    public override bool IsBetweenMessages => _client.AtBoundary && _server.AtBoundary;

    /// <inheritdoc/>
    public override bool AtRest =>
        _outstanding == 0 && _status == Idle && !_isUnsynced && !_inCopy && _client.AtBoundary && _server.AtBoundary;

    /// <inheritdoc/>
    public override bool MayStop => AtRest && !_statements.IsUnbound;

    /// <summary>
    /// The session can be logged in again, is at rest, and may be asked for its state: it has none that can't be told.
    /// </summary>
    public bool MayBeAsked => _isArmed && !_isTerminated && _isAsked && !_hidden.HasSeen && AtRest;

    /// <summary>It may have custom settings, which no view shows.</summary>
    public bool HasHiddenSettings => _hidden.HasSeen;

    /// <summary>
    /// The session can be logged in again, is at rest, and holds no state: nothing was asked for since its login, or
    /// since a <c>DISCARD ALL</c> that was answered as such; or it is assumed to hold none.
    /// </summary>
    public bool MayMove => _isArmed && !_isTerminated && (_isClean || _assumesClean) && AtRest;

    /// <summary>
    /// What its client has sent since it was at rest, where that may be repeated at another server; null: nothing.
    /// </summary>
    public FirstStatement? First => _isArmed && _first is { IsOpen: true } first && ClientAtBoundary ? first : null;

    /// <summary>It held no state ahead of <see cref="First"/>, or is assumed to hold none.</summary>
    public bool WasClean => _assumesClean || _first is { WasClean: true };

    /// <summary>What it held ahead of <see cref="First"/> can be asked for.</summary>
    public bool CouldBeAsked => _isAsked && !_hidden.HasSeen;

    /// <summary>Its client has sent messages of the extended protocol, and no Sync behind them.</summary>
    public bool IsUnsynced => _isUnsynced;

    /// <summary>The session can be logged in again without its client: see <see cref="Arm"/>.</summary>
    public bool IsArmed => _isArmed;

    /// <summary>The server has told a changed parameter since <see cref="Follow"/>.</summary>
    public bool HasToldParameters { get; private set; }

    /// <summary>Requests that wait for their ReadyForQuery.</summary>
    public int Outstanding => _outstanding;

    /// <summary>
    /// The last ReadyForQuery: <c>I</c> idle, <c>T</c> in a transaction, <c>E</c> in a failed one; 0 before the first.
    /// </summary>
    public byte Status => _status;

    /// <summary>
    /// Ending the session now leaves its client without knowing what happened: a COMMIT was sent, or something ran
    /// outside an explicit transaction, and no answer has passed.
    /// </summary>
    public bool IsOutcomeOpen =>
        (_outstanding > 0 || _isUnsynced) && (_statements.MayCommit || (_hasExecuted && _status == Idle));

    /// <summary>
    /// The client sent a message with an impossible length: the server hangs up on it without a word.
    /// </summary>
    public bool IsClientMalformed => _client.IsLost;

    /// <summary>The client said Terminate.</summary>
    public bool IsTerminated => _isTerminated;

    /// <summary>
    /// The server's last message was an error: with the end of the stream behind it, it was the reason of the end.
    /// </summary>
    public bool EndedWithError => _server.Type == MessageType.ErrorResponse && _server.AtBoundary;

    /// <inheritdoc/>
    public override void FromClient(ReadOnlySpan<byte> bytes)
    {
        if (_isArmed)
        {
            _first?.Take(bytes, AtRest, _isClean);
        }
        while (bytes.Length > 0)
        {
            if (_client.InBody)
            {
                var part = _client.TakeBody(ref bytes);
                if (_statements.IsLooking)
                {
                    _statements.Feed(part);
                }
                if (_isText)
                {
                    _hidden.Feed(part);
                }
            }
            else if (_client.IsLost || !_client.TakeHeader(ref bytes))
            {
                return;
            }
            else
            {
                Ask(_client.Type);
            }
        }
    }

    /// <inheritdoc/>
    public override int FromServer(ReadOnlySpan<byte> bytes)
    {
        var all = bytes.Length;
        while (bytes.Length > 0)
        {
            if (_server.InBody)
            {
                var part = _server.TakeBody(ref bytes);
                if (_server.Type == MessageType.ReadyForQuery && !_server.InBody)
                {
                    Ready(part[^1]);
                }
                else if (_discard == Discard.Asked && _server.Type == MessageType.CommandComplete)
                {
                    FeedTag(part);
                }
            }
            else if (_isArmed && (Withholds(bytes[0])
                || (_first is { IsOpen: true } first && _server.AtBoundary && first.Withholds(bytes))))
            {
                return all - bytes.Length;
            }
            else if (_server.IsLost || !_server.TakeHeader(ref bytes))
            {
                return all;
            }
            else if (_server.Type is MessageType.CopyInResponse or MessageType.CopyBothResponse)
            {
                _inCopy = true;
                _isCopyEnded = false;
                _isCopySimple = _isSimple;
            }
            else if (_isFollowed)
            {
                Note(_server.Type);
            }
        }
        return all;
    }

    /// <summary>What it knows, for another process; only while it <see cref="IsBetweenMessages"/>.</summary>
    public TapState Save() => new()
    {
        ClientMessage = _client.Type,
        ServerMessage = _server.Type,
        Status = _status,
        Outstanding = _outstanding,
        BehindCopy = _behindCopy,
        Statements = _statements.Save(),
        Discard = (byte)_discard,
        Flags = (_hidden.HasSeen ? TapFlags.HiddenSettings : 0)
            | (_isUnsynced ? TapFlags.Unsynced : 0)
            | (_hasExecuted ? TapFlags.Executed : 0)
            | (_isSimple ? TapFlags.Simple : 0)
            | (_inCopy ? TapFlags.InCopy : 0)
            | (_isCopySimple ? TapFlags.CopySimple : 0)
            | (_isCopyEnded ? TapFlags.CopyEnded : 0)
            | (_isTerminated ? TapFlags.Terminated : 0)
            | (_hasAskedEarly ? TapFlags.AskedEarly : 0)
            | (_isFollowed ? TapFlags.Followed : 0)
            | (_isArmed ? TapFlags.Armed : 0)
            | (_assumesClean ? TapFlags.AssumesClean : 0)
            | (_isClean ? TapFlags.Clean : 0)
            | (_isAsked ? TapFlags.Asked : 0)
            | (_letsPass ? TapFlags.LetsPass : 0)
            | (HasToldParameters ? TapFlags.ToldParameters : 0),
    };

    /// <summary>Goes on with what another process knew.</summary>
    /// <param name="state">What that was.</param>
    /// <param name="repeats">Statements that have had no effect may be repeated: from the next rest on.</param>
    public static SessionTap Restore(in TapState state, bool repeats = false)
    {
        var flags = state.Flags;
        var tap = new SessionTap
        {
            _client = MessageCursor.Behind(state.ClientMessage),
            _server = MessageCursor.Behind(state.ServerMessage),
            _statements = StatementScan.Restore(state.Statements),
            _status = state.Status,
            _outstanding = state.Outstanding,
            _behindCopy = state.BehindCopy,
            _discard = (Discard)state.Discard,
            _isUnsynced = flags.HasFlag(TapFlags.Unsynced),
            _hasExecuted = flags.HasFlag(TapFlags.Executed),
            _isSimple = flags.HasFlag(TapFlags.Simple),
            _inCopy = flags.HasFlag(TapFlags.InCopy),
            _isCopySimple = flags.HasFlag(TapFlags.CopySimple),
            _isCopyEnded = flags.HasFlag(TapFlags.CopyEnded),
            _isTerminated = flags.HasFlag(TapFlags.Terminated),
            _hasAskedEarly = flags.HasFlag(TapFlags.AskedEarly),
            _isFollowed = flags.HasFlag(TapFlags.Followed),
            _first = repeats ? new FirstStatement() : null,
            _isArmed = flags.HasFlag(TapFlags.Armed),
            _assumesClean = flags.HasFlag(TapFlags.AssumesClean),
            _isClean = flags.HasFlag(TapFlags.Clean),
            _isAsked = flags.HasFlag(TapFlags.Asked),
            _letsPass = flags.HasFlag(TapFlags.LetsPass),
            HasToldParameters = flags.HasFlag(TapFlags.ToldParameters),
        };
        if (flags.HasFlag(TapFlags.HiddenSettings))
        {
            tap._hidden.See();
        }
        return tap;
    }

    /// <summary>
    /// Follows from now on whether the session holds state. Called once, when the login is over.
    /// </summary>
    /// <param name="assumesClean">Its application keeps no state in sessions.</param>
    /// <param name="isAsked">It may be asked for its state.</param>
    /// <param name="repeats">Statements that have had no effect may be repeated.</param>
    public void Follow(bool assumesClean, bool isAsked, bool repeats)
    {
        (_isFollowed, _assumesClean, _isClean, _isAsked) =
            (true, assumesClean, !_hasAskedEarly, isAsked && !_hasAskedEarly);
        _first = repeats ? new FirstStatement() : null;
    }

    /// <summary>
    /// The session can be logged in again: what the server says unasked is withheld while it may move.
    /// </summary>
    public void Arm() => _isArmed = _isFollowed;

    /// <summary>The next message that would be withheld passes.</summary>
    public void LetPass() => _letsPass = true;

    /// <summary>Nothing is withheld any more: the session does not move.</summary>
    public void StopFollowing() => (_isFollowed, _isArmed, _isText) = (false, false, false);

    // Only errors and notices: what else a server says unasked is for the client at once.
    private bool Withholds(byte type)
    {
        if (type is not (MessageType.ErrorResponse or MessageType.NoticeResponse) || !MayMove)
        {
            return false;
        }
        if (!_letsPass)
        {
            return true;
        }
        _letsPass = false;
        return false;
    }

    // A message of the server begins.
    private void Note(byte type)
    {
        if (type == MessageType.ParameterStatus)
        {
            HasToldParameters = true;
        }
        else if (type == MessageType.CommandComplete)
        {
            _tag = 0;
            _discard = _discard == Discard.Asked ? Discard.Asked : Discard.None;   // it was not the only command
        }
        else if (type == MessageType.ErrorResponse)
        {
            _statements.NoteError();
        }
    }

    private void FeedTag(ReadOnlySpan<byte> part)
    {
        var tag = "DISCARD ALL\0"u8;
        _tag = _tag <= tag.Length && tag[_tag..].StartsWith(part) ? (byte)(_tag + part.Length) : byte.MaxValue;
        if (!_server.InBody)
        {
            _discard = _tag == tag.Length ? Discard.Answered : Discard.None;
        }
    }

    // A message of the client begins; those that leave no trace in a session change nothing.
    private void NoteAsked(byte type)
    {
        if (type is MessageType.Sync or MessageType.Flush or MessageType.Terminate)
        {
            return;
        }
        if (!_isFollowed)
        {
            _hasAskedEarly |= type != MessageType.Password;
            return;
        }
        _discard = type == MessageType.Query && _outstanding == 0 && _status == Idle && !_isUnsynced && !_inCopy
            ? Discard.Asked
            : Discard.None;
        _isClean = false;
        if (_isAsked && type is MessageType.Query or MessageType.Parse or MessageType.FunctionCall)
        {
            _isText = !_hidden.HasSeen;
            _hidden.Begin(type);
        }
    }

    private void Ask(byte type)
    {
        _isText = false;
        if (_isFollowed || _status == 0)
        {
            NoteAsked(type);
        }
        _statements.Begin(type);
        switch (type)
        {
            case MessageType.Query:
            case MessageType.FunctionCall:
                _isSimple = true;
                _hasExecuted = true;
                Count();
                break;
            case MessageType.Sync:
                _isUnsynced = false;
                if (!_inCopy || _isCopyEnded)
                {
                    Count();
                }
                break;
            case MessageType.Execute:
                _hasExecuted = true;
                _isUnsynced = true;
                break;
            case MessageType.Parse:
            case MessageType.Bind:
            case MessageType.Describe:
            case MessageType.Close:
                _isUnsynced = true;
                break;
            case MessageType.CopyDone:
            case MessageType.CopyFail:
                if (_inCopy && !_isCopyEnded)
                {
                    _isCopyEnded = true;
                    _behindCopy = 0;
                }
                break;
            case MessageType.Terminate:
                _isTerminated = true;
                break;
        }
    }

    private void Count()
    {
        _outstanding++;
        _behindCopy++;
    }

    private void Ready(byte status)
    {
        if (_status == 0)
        {
            _status = status;   // the end of the login answers nothing that was asked for
            return;
        }
        _status = status;
        _outstanding = Math.Max(0, (_inCopy, _isCopySimple, _isCopyEnded) switch
        {
            (false, _, _) or (_, true, _) => _outstanding - 1,
            (_, _, true) => _behindCopy - 1,   // the Sync behind the copy; those within it were dropped
            _ => 0,                            // the copy failed ahead of its end
        });
        _inCopy = false;
        if (_outstanding == 0)
        {
            if (_discard == Discard.Answered && status == Idle && !_isUnsynced)
            {
                _isClean = true;
                _hidden.Clear();
            }
            _discard = Discard.None;
            _isSimple = false;
            if (!_isUnsynced)
            {
                _hasExecuted = false;
                _statements.Settle();
            }
        }
        _first?.Ready(status, AtRest);
    }
}
