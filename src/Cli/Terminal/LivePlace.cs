using System.Text;

namespace Routing.Cli.Terminal;

/// <summary>A terminal that shows one view after the other in the same place.</summary>
/// <remarks>
/// A view is written over the one before, line by line, and what is left of that one is erased: nothing flickers, as it
/// would if the screen were cleared. The cursor is hidden until the end.
/// </remarks>
internal sealed class LivePlace : IDisposable
{
    private const string Clear = "\e[H\e[2J";
    private const string Home = "\e[H";
    private const string EraseLine = "\e[K";
    private const string EraseBelow = "\e[J";
    private const string HideCursor = "\e[?25l";
    private const string ShowCursor = "\e[?25h";

    private readonly TextWriter _output;

    public LivePlace(TextWriter output)
    {
        _output = output;
        _output.Write(HideCursor + Clear);
    }

    /// <summary>Shows the next view in one write.</summary>
    public void Show(string view)
    {
        var text = new StringBuilder(Home);
        foreach (var line in view.TrimEnd('\n').Split('\n'))
        {
            text.Append(line).Append(EraseLine).Append('\n');
        }
        _output.Write(text.Append(EraseBelow).ToString());
        _output.Flush();
    }

    public void Dispose()
    {
        _output.Write(ShowCursor);
        _output.Flush();
    }
}
