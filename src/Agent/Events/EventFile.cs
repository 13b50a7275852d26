using System.Text;
using Microsoft.Extensions.Logging;
using Routing.Cluster.Events;

namespace Routing.Agent.Events;

/// <summary>
/// The events on disk, so that they outlive the agent: one line of JSON each, in two files of bounded size.
/// </summary>
/// <remarks>
/// They stand beside the data directory, because a copy replaces what is in it. The agent never waits for them: a task
/// of their own writes, and what a full or hanging disk does not take is counted and forgotten. A line that was written
/// only in part is no event.
/// </remarks>
/// <param name="path">The newer file; the older one has <c>.1</c> behind its name.</param>
/// <param name="logger">The log.</param>
/// <param name="mostBytes">The newer file takes the place of the older one when it is longer than this.</param>
internal sealed partial class EventFile(string path, ILogger logger, long mostBytes = EventFile.DefaultBytes)
{
    /// <summary>The size of one of the two files: some 1,500 events.</summary>
    public const long DefaultBytes = 512 * 1024;

    /// <summary>So many events wait for the disk; what comes beyond is dropped.</summary>
    private const int MostWaiting = 1024;

    private readonly Lock _lock = new();
    private Queue<ClusterEvent> _waiting = new();
    private Task _writing = Task.CompletedTask;
    private bool _isWriting;
    private bool _isTorn = true;
    private long _dropped;
    private string _problem = "";

    /// <summary>Where the events of a member with this data directory are kept.</summary>
    public static string PathFor(string dataDirectory) => Path.GetFullPath(dataDirectory).TrimEnd('/') + ".events";

    /// <summary>Events that were not written since the agent began.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>The end of the writes that were begun.</summary>
    public Task Written
    {
        get
        {
            lock (_lock)
            {
                return _writing;
            }
        }
    }

    private string OlderPath => path + ".1";

    /// <summary>Keeps an event, soon. Never waits, never fails.</summary>
    public void Keep(ClusterEvent item)
    {
        lock (_lock)
        {
            if (_waiting.Count >= MostWaiting)
            {
                Interlocked.Increment(ref _dropped);
                return;
            }
            _waiting.Enqueue(item);
            if (!_isWriting)
            {
                _isWriting = true;
                _writing = Task.Run(WriteAll);
            }
        }
    }

    /// <summary>The newest events that earlier lives of the agent have kept, oldest first.</summary>
    /// <param name="most">At most so many.</param>
    public IReadOnlyList<ClusterEvent> Recall(int most)
    {
        var events = new List<ClusterEvent>();
        foreach (var file in (string[])[OlderPath, path])
        {
            try
            {
                if (File.Exists(file))
                {
                    // The ids of events rise: a line with a lower one is damaged.
                    events.AddRange(File.ReadLines(file).Select(ClusterEventJson.ReadLine).OfType<ClusterEvent>());
                }
            }
            catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
            {
                LogNotRead(file, problem.Message);
            }
        }
        return [.. events.TakeLast(most)];
    }

    private void WriteAll()
    {
        while (true)
        {
            Queue<ClusterEvent> batch;
            lock (_lock)
            {
                if (_waiting.Count == 0)
                {
                    _isWriting = false;
                    return;
                }
                (batch, _waiting) = (_waiting, new Queue<ClusterEvent>());
            }
            try
            {
                Write(batch);
                _problem = "";
            }
            catch (Exception problem)
            {
                // Whatever has failed: the agent goes on, and writes the file again with the next events.
                Interlocked.Add(ref _dropped, batch.Count);
                _isTorn = true;
                if (problem.Message != _problem)
                {
                    LogNotKept(path, _problem = problem.Message);
                }
            }
        }
    }

    private void Write(Queue<ClusterEvent> batch)
    {
        var text = new StringBuilder();
        if (_isTorn)
        {
            text.Append('\n');   // the line before may have no end; an empty line is no event
        }
        foreach (var item in batch)
        {
            text.Append(ClusterEventJson.Line(item)).Append('\n');
        }
        var bytes = Encoding.ASCII.GetBytes(text.ToString());
        long length;
        using (var stream = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.Append, Access = FileAccess.Write, BufferSize = 0,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            stream.Write(_isTorn && stream.Length == 0 ? bytes.AsSpan(1) : bytes);
            length = stream.Length;
        }
        _isTorn = false;
        if (length >= mostBytes)
        {
            File.Move(path, OlderPath, overwrite: true);
        }
    }

    [LoggerMessage(EventId = 1640, Level = LogLevel.Warning,
        Message = "Events cannot be written to {File}, and are lost when this agent ends: {Problem}")]
    private partial void LogNotKept(string file, string problem);

    [LoggerMessage(EventId = 1641, Level = LogLevel.Warning,
        Message = "The events that an earlier agent wrote to {File} cannot be read, and are not shown: {Problem}")]
    private partial void LogNotRead(string file, string problem);
}
