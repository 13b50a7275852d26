using System.Diagnostics;
using System.Globalization;

namespace Routing.TestKit;

/// <summary>A named pipe in place of a watchdog device (<c>driver: testing</c>), and who reads it.</summary>
public sealed class PretendWatchdog : IDisposable
{
    private const byte End = (byte)'E';
    private readonly FileStream _pipe;
    private readonly Thread _reader;
    private int _signs;
    private int _closes;
    private int _timeout;

    /// <summary>Makes the pipe; everybody may write to it.</summary>
    public PretendWatchdog(string path)
    {
        Path = path;
        using (var make = Process.Start("mkfifo", ["-m", "666", path]))
        {
            make.WaitForExit();
        }
        File.SetUnixFileMode(path, (UnixFileMode)0b110_110_110);
        // Opened for both, so that it has a writer between two agents and this can write its own end.
        _pipe = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        _reader = new Thread(Read) { IsBackground = true, Name = "pretended watchdog" };
        _reader.Start();
    }

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>How often it was fed.</summary>
    public int Signs => Volatile.Read(ref _signs);

    /// <summary>How often its close was announced.</summary>
    public int Closes => Volatile.Read(ref _closes);

    /// <summary>The timeout that it was given last; 0 before the first.</summary>
    public int TimeoutSeconds => Volatile.Read(ref _timeout);

    /// <inheritdoc/>
    public void Dispose()
    {
        _pipe.WriteByte(End);
        _reader.Join();
        _pipe.Dispose();
    }

    private void Read()
    {
        var line = "";
        while (true)
        {
            switch (_pipe.ReadByte())
            {
                case End:
                    return;
                case '1' when line.Length == 0:
                    Interlocked.Increment(ref _signs);
                    break;
                case 'V':
                    Interlocked.Increment(ref _closes);
                    break;
                case '\n':
                    Volatile.Write(ref _timeout, int.Parse(line[1..], CultureInfo.InvariantCulture));
                    line = "";
                    break;
                case var other:
                    line += (char)other;
                    break;
            }
        }
    }
}
