using System.Text;

namespace Routing.Cli.Tests;

/// <summary>Output that a test reads while a command goes on writing it.</summary>
internal sealed class SharedText : TextWriter
{
    private readonly StringBuilder _text = new();

    public SharedText() => NewLine = "\n";

    public override Encoding Encoding => Encoding.UTF8;

    public string Text
    {
        get
        {
            lock (_text)
            {
                return _text.ToString();
            }
        }
    }

    public override void Write(char value)
    {
        lock (_text)
        {
            _text.Append(value);
        }
    }
}
