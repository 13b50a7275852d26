using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>What a pretend server's sessions hold: it answers the question, and takes what is made.</summary>
internal sealed class PretendState
{
    private int _questions;

    /// <summary>The rows of the answer: kind, name, text, types.</summary>
    public List<string?[]> Rows { get; } = [["role", "alice", "none", null]];

    /// <summary>Answers with this error instead of rows, and with this one to what is made.</summary>
    public string? Error { get; set; }

    /// <summary>Says this ahead of its answer.</summary>
    public byte[] Unasked { get; set; } = [];

    /// <summary>Keeps every answer waiting until this completes.</summary>
    public Task Slowness { get; set; } = Task.CompletedTask;

    /// <summary>Ends the session instead of answering.</summary>
    public bool Dies { get; set; }

    /// <summary>How often the question has come.</summary>
    public int Questions => _questions;

    /// <summary>What was made, in its order.</summary>
    public ConcurrentQueue<string> Made { get; } = new();

    /// <summary>Answers the messages of one session's extended protocol.</summary>
    internal sealed class Talk(PretendState state)
    {
        private readonly Dictionary<string, string> _texts = [];
        private readonly List<byte> _answer = [];
        private bool _isQuestion;

        /// <summary>Takes a message.</summary>
        /// <returns>What is answered; empty: nothing yet; null: the session ends.</returns>
        public async Task<byte[]?> TakeAsync(char type, byte[] body)
        {
            switch (type)
            {
                case 'P':
                    Parse(body);
                    return [];
                case 'B':
                    Run(body);
                    return [];
                case 'S':
                    return await AnswerAsync();
                default:
                    return [];
            }
        }

        private async Task<byte[]?> AnswerAsync()
        {
            byte[] answer = [.. _answer];
            _answer.Clear();
            if (_isQuestion)
            {
                _isQuestion = false;
                Interlocked.Increment(ref state._questions);
                answer = [.. state.Unasked, .. state.Rows.SelectMany(Row)];
            }
            await state.Slowness;
            return state.Dies ? null
                : state.Error is { } code
                ? [.. BackendMessage.Of('E', Encoding.UTF8.GetBytes($"SERROR\0VERROR\0C{code}\0Mpretended\0\0")),
                    .. BackendMessage.Ready()]
                : [.. answer, .. BackendMessage.Ready()];
        }

        private void Parse(byte[] body)
        {
            var (name, text, rest) = (Text(ref body), Text(ref body), body);
            _texts[name] = text;
            _isQuestion |= text.Contains("pg_prepared_statements", StringComparison.Ordinal);
            if (!name.StartsWith("routing-proxy", StringComparison.Ordinal))
            {
                var types = Enumerable.Range(0, BinaryPrimitives.ReadInt16BigEndian(rest))
                    .Select(at => BinaryPrimitives.ReadInt32BigEndian(rest.AsSpan(2 + (4 * at))));
                state.Made.Enqueue($"prepare {name}({string.Join(',', types)}): {text}");
            }
        }

        private void Run(byte[] body)
        {
            _ = Text(ref body);
            var text = _texts.GetValueOrDefault(Text(ref body), "");
            if (_isQuestion)
            {
                return;
            }
            if (!text.Contains("set_config", StringComparison.Ordinal))
            {
                state.Made.Enqueue(text);
                return;
            }
            var rest = body.AsSpan(4);
            var length = BinaryPrimitives.ReadInt32BigEndian(rest);
            var name = Encoding.UTF8.GetString(rest.Slice(4, length));
            rest = rest[(4 + length)..];
            var value = Encoding.UTF8.GetString(rest.Slice(4, BinaryPrimitives.ReadInt32BigEndian(rest)));
            state.Made.Enqueue($"{name} = {value}");
            if (name is "client_encoding" or "application_name")
            {
                _answer.AddRange(BackendMessage.Parameter(name, value));
            }
        }

        private static byte[] Row(string?[] columns)
        {
            List<byte> body = [0, (byte)columns.Length];
            foreach (var column in columns)
            {
                var bytes = Encoding.UTF8.GetBytes(column ?? "");
                var length = new byte[4];
                BinaryPrimitives.WriteInt32BigEndian(length, column is null ? -1 : bytes.Length);
                body.AddRange(length);
                body.AddRange(bytes);
            }
            return BackendMessage.Of('D', [.. body]);
        }

        private static string Text(ref byte[] body)
        {
            var end = Array.IndexOf(body, (byte)0);
            var text = Encoding.UTF8.GetString(body, 0, end);
            body = body[(end + 1)..];
            return text;
        }
    }
}
