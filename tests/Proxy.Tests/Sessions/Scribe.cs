using System.Collections.Concurrent;
using System.Text;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>
/// What a pretend server runs: statements of either protocol, in transactions or alone, written down as they are done.
/// A CommandComplete carries the statement's text.
/// </summary>
internal sealed class Scribe
{
    /// <summary>The statements that were done.</summary>
    public ConcurrentQueue<string> Done { get; } = new();

    /// <summary>All that came, BEGIN and what was refused included.</summary>
    public ConcurrentQueue<string> Heard { get; } = new();

    /// <summary>Refuses statements, with this code; null: does them.</summary>
    public string? RefuseWith { get; set; }

    /// <summary>Ends the session without a word when this statement comes.</summary>
    public string? DiesAt { get; set; }

    /// <summary>Serves a session; <see cref="PretendServer.Talk"/>.</summary>
    public async Task TalkAsync(Stream stream)
    {
        var session = new Session(this);
        while (true)
        {
            var (type, body) = await BackendMessage.ReadAsync(stream);
            if (type == 'X' || session.Take(type, body) is not { } answer)
            {
                return;
            }
            await stream.WriteAsync(answer);
        }
    }

    /// <summary>An error of severity ERROR.</summary>
    public static byte[] Error(string code) =>
        BackendMessage.Of('E', Encoding.UTF8.GetBytes($"SERROR\0VERROR\0C{code}\0Mpretended\0\0"));

    private sealed class Session(Scribe scribe)
    {
        private readonly List<byte> _owed = [];   // answers that wait for the Sync
        private readonly List<string> _open = [];   // of the transaction
        private string _text = "";
        private char _status = 'I';
        private bool _skips;

        public byte[]? Take(char type, byte[] body)
        {
            switch (type)
            {
                case 'Q':
                    return Run(Text(body), isSimple: true) is { } answer
                        ? [.. answer, .. BackendMessage.Ready(_status)]
                        : null;
                case 'P' when !_skips:
                    _text = Text(body[(Array.IndexOf(body, (byte)0) + 1)..]);
                    _owed.AddRange(BackendMessage.Of('1'));
                    return [];
                case 'B' when !_skips:
                    _owed.AddRange(BackendMessage.Of('2'));
                    return [];
                case 'D' when !_skips:
                    _owed.AddRange(BackendMessage.Of('n'));
                    return [];
                case 'E' when !_skips:
                    if (Run(_text, isSimple: false) is not { } done)
                    {
                        return null;
                    }
                    _owed.AddRange(done);
                    return _skips ? Flush() : [];   // an error is told at once
                case 'S':
                    _skips = false;
                    _owed.AddRange(BackendMessage.Ready(_status));
                    return Flush();
                default:
                    return [];
            }
        }

        private byte[] Flush()
        {
            byte[] all = [.. _owed];
            _owed.Clear();
            return all;
        }

        private byte[]? Run(string text, bool isSimple)
        {
            scribe.Heard.Enqueue(text);
            if (text == scribe.DiesAt)
            {
                return null;
            }
            switch (text)
            {
                case "BEGIN":
                    _status = 'T';
                    return Complete(text);
                case "ROLLBACK":
                    _status = 'I';
                    _open.Clear();
                    return Complete(text);
                case "COMMIT" when _status == 'E':
                    _status = 'I';
                    _open.Clear();
                    return Complete("ROLLBACK");
                case "COMMIT":
                    _status = 'I';
                    _open.ForEach(scribe.Done.Enqueue);
                    _open.Clear();
                    return Complete(text);
            }
            if ((_status == 'E' ? "25P02" : scribe.RefuseWith) is { } code)
            {
                _status = _status == 'I' ? 'I' : 'E';
                _skips = !isSimple;
                return Error(code);
            }
            if (_status == 'I')
            {
                scribe.Done.Enqueue(text);
            }
            else
            {
                _open.Add(text);
            }
            return Complete(text);
        }

        private static byte[] Complete(string text) => BackendMessage.Of('C', Encoding.UTF8.GetBytes(text + "\0"));

        private static string Text(byte[] bytes) => Encoding.UTF8.GetString(bytes, 0, Array.IndexOf(bytes, (byte)0));
    }
}
