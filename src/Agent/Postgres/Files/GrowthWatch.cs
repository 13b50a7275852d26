using Routing.Ha;

namespace Routing.Agent.Postgres.Files;

/// <summary>Measures the progress of a program that fills a directory and does not report it.</summary>
/// <param name="directory">What it fills.</param>
/// <param name="total">How large that will be, about; 0: nobody knows.</param>
/// <param name="time">For the rate, and the pauses between two looks.</param>
internal sealed class GrowthWatch(string directory, long total, TimeProvider time)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(2);

    /// <summary>Looks every two seconds until it is cancelled.</summary>
    public async Task RunAsync(Action<CopyProgress> tell, CancellationToken cancellationToken)
    {
        var rate = new CopyRate(time);
        while (!cancellationToken.IsCancellationRequested)
        {
            var bytes = SizeOf(directory);
            tell(new CopyProgress(bytes, total > 0 ? Math.Max(total, bytes) : 0, rate.After(bytes)));
            await Task.Delay(s_pause, time, cancellationToken).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The bytes in all files below; files that vanish meanwhile count as none.</summary>
    public static long SizeOf(string directory)
    {
        try
        {
            return !Directory.Exists(directory) ? 0
                : new DirectoryInfo(directory).EnumerateFiles("*", new EnumerationOptions
                {
                    RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint,
                    IgnoreInaccessible = true,
                }).Sum(LengthOf);
        }
        catch (IOException)
        {
            return 0;   // the directory was replaced meanwhile; the next look measures it
        }
    }

    private static long LengthOf(FileInfo file)
    {
        try
        {
            return file.Length;
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
