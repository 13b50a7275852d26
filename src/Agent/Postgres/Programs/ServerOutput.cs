using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Settings;

namespace Routing.Agent.Postgres.Programs;

/// <summary>
/// What the server prints: before its own logging begins, and everything while <c>logging_collector</c> is off.
/// </summary>
/// <remarks>
/// The server outlives the agent, so it writes to a file and not into a pipe of the agent's. The agent hands the lines
/// on to its own log, which is standard error unless <c>log.dir</c> says otherwise, and empties the file when it has
/// grown and all of it was handed on. What is printed while no agent runs stays in the file.
/// </remarks>
internal sealed partial class ServerOutput : IAsyncDisposable
{
    private const int LastLines = 6;
    private const int LongestTail = 64 * 1024;
    private const long LargestFile = 1024 * 1024;

    private static readonly TimeSpan s_poll = TimeSpan.FromSeconds(1);

    private readonly string _dataDirectory;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly StringBuilder _partial = new();
    private readonly Task _reading;
    private long _read;
    private long _begin;
    private DateTime _begunAt;

    /// <summary>Starts to hand on what is printed from now on.</summary>
    public ServerOutput(AgentSettings settings, TimeProvider time, ILogger logger)
    {
        (_dataDirectory, _logger) = (settings.Postgres.DataDirectory, logger);
        File = Path.Combine(settings.Log.Directory ?? Path.Combine(_dataDirectory, "log"), "postgresql-start.log");
        _read = Length();
        _reading = ReadAsync(time);
    }

    /// <summary>The file that the server's standard output and standard error are appended to.</summary>
    public string File { get; }

    /// <summary>A server is about to be started.</summary>
    public void Begin()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(File)!);
        HandOn();
        lock (_lock)
        {
            _begin = Length();
            _begunAt = System.IO.File.Exists(File) ? System.IO.File.GetLastWriteTimeUtc(File) : DateTime.MinValue;
        }
    }

    /// <summary>
    /// The last lines of the server that was started last, from its output or from its own log when it has one.
    /// </summary>
    public string LastWords()
    {
        HandOn();
        try
        {
            var said = Tail(File, _begin);
            if (Collector().Match(said) is { Success: true } collector)
            {
                said += "\n" + TailOfOwnLog(collector.Groups[1].Value);
            }
            var lines = said.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Where(
                    line => !Collector().IsMatch(line)
                        && !line.Contains("redirecting log output", StringComparison.Ordinal)).ToList();
            // The text is public: it must not quote the file, as a syntax error does.
            var words = string.Join(" | ",
                lines.TakeLast(LastLines).Select(line => SecretText.Masked(Token().Replace(line, ""))));
            return words.Length > 0 ? words : $"it said nothing; see {File} and its own log";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return $"its last lines cannot be read: {error.Message}";
        }
    }

    /// <summary>Hands on what there is, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        _stop.Dispose();
    }

    private async Task ReadAsync(TimeProvider time)
    {
        using var timer = new PeriodicTimer(s_poll, time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                HandOn();
            }
        }
        catch (OperationCanceledException)
        {
            HandOn();
        }
    }

    /// <summary>Reads to the end of the file. Nothing that goes wrong here may disturb anything else.</summary>
    private void HandOn()
    {
        lock (_lock)
        {
            try
            {
                ReadOn();
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                LogUnreadable(File, error.Message);
                _read = long.MaxValue;   // reported once; a file that can be read is shorter and read from its start
            }
        }
    }

    private void ReadOn()
    {
        var length = Length();
        if (length < _read)
        {
            (_read, _begin) = (length == 0 || _read == long.MaxValue ? length : 0, 0);
        }
        if (length == _read)
        {
            return;
        }
        using var file =
            new FileStream(File, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        file.Seek(_read, SeekOrigin.Begin);
        var bytes = new byte[16 * 1024];
        var letters = new char[bytes.Length + 1];
        int count;
        while ((count = file.Read(bytes)) > 0)
        {
            _read += count;
            _partial.Append(letters, 0, _decoder.GetChars(bytes.AsSpan(0, count), letters, flush: false));
            Say();
        }
        if (_read > LargestFile && file.Length == _read)
        {
            // The server appends, so it goes on at the file's new end. A line between this look and the cut would be
            // lost; there is none unless it comes within microseconds.
            file.SetLength(0);
            (_read, _begin) = (0, 0);
        }
    }

    private void Say()
    {
        var text = _partial.ToString();
        var end = text.LastIndexOf('\n');
        if (end < 0)
        {
            return;
        }
        _partial.Remove(0, end + 1);
        if (_logger.IsEnabled(LogLevel.Information))
        {
            foreach (var line in text[..end].Split('\n'))
            {
                LogLine(line);
            }
        }
    }

    private long Length() => System.IO.File.Exists(File) ? new FileInfo(File).Length : 0;

    private string TailOfOwnLog(string directory)
    {
        var path = Path.Combine(_dataDirectory, directory);
        var newest = Directory.Exists(path)
            ? new DirectoryInfo(path).EnumerateFiles()
                .Where(file => file.FullName != File && file.LastWriteTimeUtc >= _begunAt)
                .OrderBy(file => file.LastWriteTimeUtc).LastOrDefault()
            : null;
        return newest is null ? "" : Tail(newest.FullName, 0);
    }

    private static string Tail(string path, long from)
    {
        if (!System.IO.File.Exists(path))
        {
            return "";
        }
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        file.Seek(Math.Max(Math.Min(from, file.Length), file.Length - LongestTail), SeekOrigin.Begin);
        using var reader = new StreamReader(file, Encoding.UTF8);
        return reader.ReadToEnd();
    }

    [GeneratedRegex("Future log output will appear in directory \"([^\"]+)\"", RegexOptions.CultureInvariant)]
    private static partial Regex Collector();

    [GeneratedRegex(",? near token \".*\"", RegexOptions.CultureInvariant)]
    private static partial Regex Token();

    [LoggerMessage(EventId = 2032, Level = LogLevel.Information, Message = "PostgreSQL: {Line}")]
    private partial void LogLine(string line);

    [LoggerMessage(EventId = 2033, Level = LogLevel.Warning,
        Message = "The output of PostgreSQL cannot be read from {File}: {Problem}")]
    private partial void LogUnreadable(string file, string problem);
}
