using System.Text;

namespace Routing.Agent.Native;

/// <summary>Turns a stream of bytes into lines. A carriage return ends one too: progress displays use it.</summary>
internal sealed class LineSplitter(Action<string> onLine)
{
    private const int MaximumLineBytes = 64 * 1024;

    private readonly List<byte> _pending = [];

    public void Add(ReadOnlySpan<byte> bytes)
    {
        while (bytes.IndexOfAny((byte)'\n', (byte)'\r') is >= 0 and var end)
        {
            Append(bytes[..end]);
            Flush();
            bytes = bytes[(end + 1)..];
        }

        Append(bytes);
    }

    /// <summary>Hands out what stands after the last line end, if anything.</summary>
    public void Flush()
    {
        if (_pending.Count > 0)
        {
            var line = Encoding.UTF8.GetString(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_pending));
            _pending.Clear();
            onLine(line);
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        while (_pending.Count + bytes.Length > MaximumLineBytes)
        {
            var fits = MaximumLineBytes - _pending.Count;
            _pending.AddRange(bytes[..fits]);
            bytes = bytes[fits..];
            Flush();
        }

        _pending.AddRange(bytes);
    }
}
