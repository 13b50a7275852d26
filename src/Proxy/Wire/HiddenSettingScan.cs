using System.Buffers;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Routing.Proxy.Wire;

/// <summary>
/// Looks in the text of Query and Parse messages for what sets a custom setting (<c>SET app.tenant = …</c>,
/// <c>set_config(…)</c>): no view of PostgreSQL shows those, so a session that may have one can't be asked for it.
/// </summary>
/// <remarks>
/// No SQL is parsed: the word SET with a full stop (or a comment) ahead of an equals sign or TO behind it counts, and
/// so does the name of the function, wherever they stand. False alarms cost a session its move; misses would cost it a
/// setting.
/// </remarks>
internal struct HiddenSettingScan
{
    private const int Window = 512;
    private const byte Blank = 0x20;   // or-ed to every byte: letters are small then, and few others change
    private const byte Underscore = (byte)'_' | Blank;

    private static readonly SearchValues<byte> s_marks = SearchValues.Create("=;./-"u8);

    private Place _place;
    private byte _matched;   // letters of the word that is looked for
    private bool _isInWord;  // the last byte belongs to a word

    private enum Place : byte
    {
        Name,       // of a prepared statement: ahead of the text
        Text,
        Word,       // within "set"
        BehindSet,  // what follows tells whether it was a word
        Function,   // within "config" behind "set_"
        Setting,    // behind the word SET: the name of a setting, and more
    }

    /// <summary>One of them was seen.</summary>
    public bool HasSeen { get; private set; }

    /// <summary>Forgets what was seen: the session was reset.</summary>
    public void Clear() => HasSeen = false;

    /// <summary>One of them was seen by another process.</summary>
    public void See() => HasSeen = true;

    /// <summary>The body of a message begins.</summary>
    /// <param name="type">Query, Parse, or FunctionCall, which names what it calls by a number alone.</param>
    public void Begin(byte type)
    {
        (_place, _matched, _isInWord) = (type == MessageType.Parse ? Place.Name : Place.Text, 0, false);
        HasSeen |= type == MessageType.FunctionCall;
    }

    /// <summary>A part of the body.</summary>
    [SkipLocalsInit]
    public void Feed(ReadOnlySpan<byte> body)
    {
        if (_place == Place.Name)
        {
            var end = body.IndexOf((byte)0);
            if (end < 0)
            {
                return;
            }
            _place = Place.Text;
            body = body[(end + 1)..];
        }
        Span<byte> small = stackalloc byte[Window];
        while (body.Length > 0 && !HasSeen)
        {
            var part = small[..Math.Min(body.Length, Window)];
            ToSmall(body[..part.Length], part);
            body = body[part.Length..];
            FeedSmall(part);
        }
    }

    private static void ToSmall(ReadOnlySpan<byte> from, Span<byte> to)
    {
        var blanks = new Vector<byte>(Blank);
        var at = 0;
        for (; at <= from.Length - Vector<byte>.Count; at += Vector<byte>.Count)
        {
            (new Vector<byte>(from[at..]) | blanks).CopyTo(to[at..]);
        }
        for (; at < from.Length; at++)
        {
            to[at] = (byte)(from[at] | Blank);
        }
    }

    private void FeedSmall(ReadOnlySpan<byte> part)
    {
        for (var at = 0; at < part.Length && !HasSeen;)
        {
            if (_place == Place.Text)
            {
                // Whole words are found at once; what is cut off at the part's end is matched letter by letter.
                var found = part[at..].IndexOf("set"u8);
                var next = found >= 0 ? at + found : Math.Max(at, part.Length - 2);
                _isInWord = next > at ? IsOfWord(part[next - 1]) : _isInWord;
                at = next;
            }
            else if (_place == Place.Setting && _matched == 0 && !_isInWord && EndOfName(part[at..]) is var end and > 0)
            {
                (_place, at) = (Place.Text, at + end);
                continue;
            }
            Take(part[at++]);
        }
    }

    // Behind the end of a setting's name that has nothing of interest in it; 0: it is looked at byte by byte.
    private static int EndOfName(ReadOnlySpan<byte> part) =>
        part.IndexOfAny(s_marks) is var mark && mark >= 0 && part[mark] is (byte)'=' or (byte)';' ? mark + 1 : 0;

    private void Take(byte next)
    {
        switch (_place)
        {
            case Place.Text:
                Look(next);
                break;
            case Place.Word when next == "set"u8[_matched]:
                _place = ++_matched == 3 ? Place.BehindSet : Place.Word;
                break;
            case Place.BehindSet when next == Underscore:
                (_place, _matched) = (Place.Function, 0);
                break;
            case Place.BehindSet when !IsOfWord(next):
                (_place, _matched, _isInWord) = (Place.Setting, 0, false);
                goto case Place.Setting;
            case Place.Function when next == "config"u8[_matched]:
                HasSeen = ++_matched == 6;
                break;
            case Place.Setting:
                TakeOfSetting(next);
                break;
            default:
                _place = Place.Text;
                Look(next);
                break;
        }
    }

    // Its name ends with an equals sign or the word TO; a comment may hide anything.
    private void TakeOfSetting(byte next)
    {
        const byte Dash = 1, Slash = 2, WordTo = 2;
        HasSeen = next == '.' || (!_isInWord && (_matched, next) is (Dash, (byte)'-') or (Slash, (byte)'*'));
        if (next is (byte)'=' or (byte)';' || (_isInWord && _matched == WordTo && !IsOfWord(next)))
        {
            (_place, _isInWord) = (Place.Text, false);
        }
        else if (IsOfWord(next))
        {
            var at = _isInWord ? _matched : (byte)0;
            _matched = at < 2 && next == "to"u8[at] ? (byte)(at + 1) : byte.MaxValue;
            _isInWord = true;
        }
        else
        {
            _matched = next switch { (byte)'-' => Dash, (byte)'/' => Slash, _ => 0 };
            _isInWord = false;
        }
    }

    private void Look(byte next)
    {
        if (next == 's' && !_isInWord)
        {
            (_place, _matched) = (Place.Word, 1);
        }
        _isInWord = IsOfWord(next);
    }

    // Letters, digits, the underscore, the dollar sign, and what is no ASCII; all of them or-ed with a blank.
    private static bool IsOfWord(byte small) =>
        small is >= (byte)'a' and <= (byte)'z' or >= (byte)'0' and <= (byte)'9' or Underscore or (byte)'$' or >= 0x80;
}
