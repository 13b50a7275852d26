namespace Routing.Proxy.Wire;

/// <summary>
/// Looks at the text of Query, Parse and Bind messages, as far as needed to tell whether a COMMIT may be under way.
/// </summary>
/// <remarks>
/// No SQL is parsed: the first word counts, behind white space and comments. A simple Query of several statements may
/// hide a COMMIT and counts as one. A Bind of a named statement counts when a statement of that name was a COMMIT when
/// it was parsed; all of them pass by here. False alarms are harmless (the client is told that the outcome is unknown);
/// misses are not.
/// </remarks>
internal struct StatementScan
{
    private const uint HashStart = 2166136261;
    private const uint HashFactor = 16777619;

    private Mode _mode;
    private Comment _comment;
    private byte _depth;             // of nested block comments
    private bool _isPrepare;         // the word before was PREPARE
    private bool _isParse;
    private bool _isNamed;           // the name (of a statement, or of a portal) is not empty
    private bool _namedPortal;
    private bool _unnamedCommits;
    private bool _manyCommit;        // more than one name: each named one counts
    private bool _everyExecute;      // a named portal of a COMMIT may be open
    private byte _letters;
    private ulong _word;             // up to eight letters, in lower case
    private uint _hash;
    private uint _committing;        // hash (odd) of the name of the statement that is a COMMIT; 0: none

    private enum Mode : byte
    {
        Off,
        StatementName,
        Text,
        Tail,
        BehindSemicolon,
        PortalName,
        BoundStatement,
    }

    private enum Comment : byte
    {
        None,
        Dash,
        Slash,
        Line,
        Block,
        BlockStar,
        BlockSlash,
    }

    /// <summary>A COMMIT may have been asked for since the last <see cref="Settle"/>.</summary>
    public bool MayCommit { get; private set; }

    /// <summary>Whether the rest of the body matters.</summary>
    public readonly bool IsLooking => _mode != Mode.Off;

    /// <summary>The unnamed statement was parsed, and nothing was bound since: its client is about to.</summary>
    public bool IsUnbound { get; private set; }

    /// <summary>What it remembers between two messages, for another process.</summary>
    public readonly StatementMemory Save() =>
        new(IsUnbound, MayCommit, _unnamedCommits, _manyCommit, _everyExecute, _committing);

    /// <summary>Goes on with what another process has remembered.</summary>
    public static StatementScan Restore(StatementMemory memory) => new()
    {
        IsUnbound = memory.IsUnbound,
        MayCommit = memory.MayCommit,
        _unnamedCommits = memory.UnnamedCommits,
        _manyCommit = memory.ManyCommit,
        _everyExecute = memory.EveryExecute,
        _committing = memory.Committing,
    };

    /// <summary>The server has answered with an error: what was parsed may not be there.</summary>
    public void NoteError() => IsUnbound = false;

    /// <summary>All that was asked for has been answered.</summary>
    public void Settle() => MayCommit = false;

    /// <summary>A message begins.</summary>
    public void Begin(byte type)
    {
        switch (type)
        {
            case MessageType.Query:
                _isParse = false;
                IsUnbound = false;
                BeginText();
                break;
            case MessageType.Parse:
                _isParse = true;
                BeginName(Mode.StatementName);
                break;
            case MessageType.Bind:
                IsUnbound = false;
                BeginName(Mode.PortalName);
                break;
            case MessageType.Execute:
                MayCommit |= _everyExecute;
                break;
        }
    }

    /// <summary>A part of its body.</summary>
    public void Feed(ReadOnlySpan<byte> body)
    {
        while (body.Length > 0 && _mode != Mode.Off)
        {
            body = body[(_mode switch
            {
                Mode.Text => FeedText(body),
                Mode.Tail => FeedTail(body),
                Mode.BehindSemicolon => FeedBehindSemicolon(body),
                _ => FeedName(body),
            })..];
        }
    }

    private void BeginText()
    {
        _mode = Mode.Text;
        _comment = Comment.None;
        _isPrepare = false;
        _word = 0;
        _letters = 0;
    }

    private void BeginName(Mode mode)
    {
        _mode = mode;
        _hash = HashStart;
        _isNamed = false;
    }

    private int FeedName(ReadOnlySpan<byte> body)
    {
        for (var i = 0; i < body.Length; i++)
        {
            if (body[i] == 0)
            {
                EndName();
                return i + 1;
            }
            _isNamed = true;
            _hash = (_hash ^ body[i]) * HashFactor;
        }
        return body.Length;
    }

    private void EndName()
    {
        switch (_mode)
        {
            case Mode.StatementName:
                _unnamedCommits &= _isNamed;   // a new unnamed statement takes the old one's place
                IsUnbound |= !_isNamed;
                BeginText();
                break;
            case Mode.PortalName:
                _namedPortal = _isNamed;
                BeginName(Mode.BoundStatement);
                break;
            default:
                _mode = Mode.Off;
                if (_isNamed ? _manyCommit || _committing == (_hash | 1) : _unnamedCommits)
                {
                    MayCommit = true;
                    _everyExecute |= _namedPortal;
                }
                break;
        }
    }

    // To the end of the first word (of the second one behind PREPARE).
    private int FeedText(ReadOnlySpan<byte> body)
    {
        for (var i = 0; i < body.Length; i++)
        {
            var next = body[i];
            if (_comment != Comment.None)
            {
                if (!FeedComment(next))
                {
                    EndText(isCommit: false);   // an operator: no command begins with one
                    return i;
                }
                continue;
            }
            var letter = (byte)(next | 0x20);
            if (letter is >= (byte)'a' and <= (byte)'z')
            {
                _word = (_word << 8) | letter;
                if (++_letters == sizeof(ulong))
                {
                    EndWord();
                }
            }
            else if (_letters > 0)
            {
                EndWord();
                if (_mode == Mode.Text)
                {
                    i--;   // this byte is looked at again: it may begin a comment
                }
            }
            else if (next == '-')
            {
                _comment = Comment.Dash;
            }
            else if (next == '/')
            {
                _comment = Comment.Slash;
            }
            else if (next > ' ' && next != ';')
            {
                EndText(isCommit: false);
            }
            else if (next == 0)
            {
                _mode = Mode.Off;
            }
            if (_mode != Mode.Text)
            {
                return Math.Max(i, 0);   // the byte itself may be a semicolon
            }
        }
        return body.Length;
    }

    private void EndWord()
    {
        const ulong Commit = 0x636F6D6D6974, End = 0x656E64, Prepare = 0x70726570617265, Transact = 0x7472616E73616374;
        var word = _word;
        _word = 0;
        _letters = 0;
        if (_isPrepare)
        {
            EndText(word == Transact);
        }
        else if (word == Prepare)
        {
            _isPrepare = true;
        }
        else
        {
            EndText(word is Commit or End);
        }
    }

    private void EndText(bool isCommit)
    {
        if (!_isParse)
        {
            MayCommit |= isCommit;
            _mode = isCommit ? Mode.Off : Mode.Tail;
            return;
        }
        _mode = Mode.Off;
        if (!_isNamed)
        {
            _unnamedCommits = isCommit;
        }
        else if (isCommit)
        {
            _manyCommit |= _committing != 0 && _committing != (_hash | 1);
            _committing = _hash | 1;
        }
    }

    private int FeedTail(ReadOnlySpan<byte> body)
    {
        var semicolon = body.IndexOf((byte)';');
        if (semicolon < 0)
        {
            return body.Length;
        }
        _mode = Mode.BehindSemicolon;
        return semicolon + 1;
    }

    private int FeedBehindSemicolon(ReadOnlySpan<byte> body)
    {
        var more = body.IndexOfAnyExceptInRange((byte)0, (byte)' ');
        if (more >= 0)
        {
            MayCommit = true;
            _mode = Mode.Off;
        }
        return body.Length;
    }

    // False: what looked like the beginning of a comment was none.
    private bool FeedComment(byte next)
    {
        switch (_comment)
        {
            case Comment.Dash when next == '-':
                _comment = Comment.Line;
                return true;
            case Comment.Slash when next == '*':
                _comment = Comment.Block;
                _depth = 1;
                return true;
            case Comment.Dash or Comment.Slash:
                return false;
            case Comment.Line:
                _comment = next is (byte)'\n' or (byte)'\r' ? Comment.None : Comment.Line;
                return true;
            case Comment.BlockStar when next == '/':
                _comment = --_depth == 0 ? Comment.None : Comment.Block;
                return true;
            case Comment.BlockSlash when next == '*':
                _depth = (byte)Math.Min(_depth + 1, byte.MaxValue);
                _comment = Comment.Block;
                return true;
            default:
                _comment = next == '*' ? Comment.BlockStar : next == '/' ? Comment.BlockSlash : Comment.Block;
                return true;
        }
    }
}
