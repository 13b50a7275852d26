using Routing.Ha;

namespace Routing.Agent.Postgres.Files;

/// <summary>Measures the progress of a program that fills a directory and does not report it.</summary>
/// <param name="directory">What it fills.</param>
/// <param name="total">How large that will be, about; 0: nobody knows.</param>
/// <param name="time">For the rate, and the pauses between two looks.</param>
internal sealed class GrowthWatch(string directory, long total, TimeProvider time)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_betweenReports = TimeSpan.FromSeconds(10);

    /// <summary>Looks while a program runs.</summary>
    /// <param name="program">Runs it to its end; the watch ends with it.</param>
    /// <param name="tell">Called with each look.</param>
    /// <param name="report">Called with one look in ten seconds, the first time after ten seconds: for the log.</param>
    /// <param name="cancellationToken">Ends the watch; the program has to obey it by itself.</param>
    /// <param name="refine">What else is known about a look, put into it before it is told; null: nothing.</param>
    /// <returns>What the program returned.</returns>
    public async Task<T> WhileAsync<T>(
        Func<Task<T>> program, Action<CopyProgress> tell, Action<CopyProgress> report,
        CancellationToken cancellationToken, Func<CopyProgress, CopyProgress>? refine = null)
    {
        var reported = time.GetTimestamp();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watch = RunAsync(
            grown =>
            {
                var copied = refine is null ? grown : refine(grown);
                tell(copied);
                if (time.GetElapsedTime(reported) >= s_betweenReports)
                {
                    reported = time.GetTimestamp();
                    report(copied);
                }
            },
            over.Token);
        try
        {
            return await program();
        }
        finally
        {
            await over.CancelAsync();
            await watch;
        }
    }

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
