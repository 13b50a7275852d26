using System.Globalization;
using System.Security.Cryptography;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Health;

namespace Routing.Agent.Postgres.Files;

/// <summary>
/// Looks whether the server's directories have space and take writes: a tiny file, written through to the disk and
/// deleted.
/// </summary>
/// <remarks>
/// The looking is beside the loop, one at a time: a disk that hangs holds up nothing but the next look. A look is slow
/// for many harmless reasons, so that only one that has not ended after <see cref="HealthRules.Silence"/> counts as
/// hanging.
/// </remarks>
/// <param name="time">The clock.</param>
/// <param name="look">Looks at one directory; tests hand in their own.</param>
internal sealed class DiskProbe(TimeProvider time, Func<string, long, DiskHealth> look)
{
    /// <summary>The file's name in each directory that is looked at.</summary>
    public const string FileName = "routing.probe";

    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;
    private const int ReadOnly = 30;
    private const int InputOutputError = 5;
    private const int Size = 8192;   // a page of PostgreSQL: a smaller write may fit on a disk that is full for pages

    private Task<DiskHealth>? _running;
    private long _begunAt;
    private DiskHealth _last = DiskHealth.Good;

    /// <summary>A probe of the real disk.</summary>
    public DiskProbe(TimeProvider time)
        : this(time, Look)
    {
    }

    /// <summary>How many looks have ended.</summary>
    public int Looks { get; private set; }

    /// <summary>The newest result; begins another look when it is due. Returns at once.</summary>
    public DiskHealth Look(string dataDirectory, HealthConfig config)
    {
        if (_running is { IsCompleted: true } ended)
        {
            _last = ended.Result;
            _running = null;
            Looks++;
        }
        if (config.Interval == TimeSpan.Zero)
        {
            return DiskHealth.Good;
        }
        if (_running is not null)
        {
            var since = time.GetElapsedTime(_begunAt);
            return since < HealthRules.Silence ? _last
                : new DiskHealth(HealthProblem.DiskHangs, string.Create(
                    CultureInfo.InvariantCulture,
                    $"a write to {dataDirectory} has not ended for {since.TotalSeconds:F0} s"));
        }
        if (_begunAt == 0 || time.GetElapsedTime(_begunAt) >= config.Interval)
        {
            _begunAt = time.GetTimestamp();
            var least = config.MinimumFreeBytes;
            _running =
                Task.Run(() => Worse(look(dataDirectory, least), look(Path.Combine(dataDirectory, "pg_wal"), least)));
        }
        return _last;
    }

    private static DiskHealth Worse(DiskHealth one, DiskHealth other) => other.Problem > one.Problem ? other : one;

    private static DiskHealth Look(string directory, long least)
    {
        try
        {
            Write(Path.Combine(directory, FileName));
            var free = new DriveInfo(directory).AvailableFreeSpace;
            return free < least
                ? new DiskHealth(HealthProblem.DiskFull, string.Create(
                    CultureInfo.InvariantCulture, $"{directory} has {free} bytes left, less than {least}"))
                : DiskHealth.Good;
        }
        catch (IOException problem) when (problem.HResult is NoSpace or QuotaExceeded)
        {
            return new DiskHealth(HealthProblem.DiskFull, $"{directory}: {problem.Message}");
        }
        catch (IOException problem) when (problem.HResult is ReadOnly or InputOutputError)
        {
            return new DiskHealth(HealthProblem.DiskReadOnly, $"{directory}: {problem.Message}");
        }
        catch (UnauthorizedAccessException problem)
        {
            return new DiskHealth(HealthProblem.DiskReadOnly, $"{directory}: {problem.Message}");
        }
        catch (IOException)
        {
            return DiskHealth.Good;   // other rules are for a directory that is missing, or is being replaced
        }
    }

    private static void Write(string path)
    {
        var page = new byte[Size];
        RandomNumberGenerator.Fill(page);   // a file system that compresses must find room for it, too
        try
        {
            using var file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.Create, Access = FileAccess.Write, BufferSize = 0,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            file.Write(page);
            file.Flush(flushToDisk: true);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
