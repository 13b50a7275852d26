using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Settings.Postgres;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Makes room for a new cluster or a copy, and marks what is not whole yet.</summary>
internal sealed partial class DataRoom(ServerContext context)
{
    private readonly ILogger _logger = context.Logger;

    [GeneratedRegex(
        "^([0-9A-F]{24}(\\.partial|\\.[0-9A-F]{8}\\.backup)?|[0-9A-F]{8}\\.history"
            + "|archive_status|summaries|lost\\+found|\\..*)$")]
    private static partial Regex WalName { get; }

    /// <summary>Ends the programs of an earlier agent that still work on the data directory.</summary>
    /// <exception cref="IOException">A program does not end.</exception>
    public async Task EndLeftoversAsync(CancellationToken cancellationToken)
    {
        if (await LeftoverPrograms.EndAsync(context.DataDirectory, context.Time, cancellationToken)
            is > 0 and var ended)
        {
            LogLeftovers(ended, context.DataDirectory);
        }
    }

    /// <summary>Makes the data directory, with room for what is to come.</summary>
    /// <exception cref="IOException">What stands there can be neither moved nor removed.</exception>
    public void PrepareEmpty()
    {
        if (Directory.Exists(context.DataDirectory) && !DataFilling.IsEmpty(context.DataDirectory))
        {
            var seen = DataDirectoryState.Look(context.DataDirectory);
            switch (seen.Kind)
            {
                case Ha.DataDirectory.Ready:
                    LogReplaced(DataRemoval.MakeRoom(context.DataDirectory) ?? "nothing: there is no room for both");
                    break;
                case Ha.DataDirectory.Empty:
                    DataRemoval.Clear(context.DataDirectory);   // left by a copy or script that was interrupted
                    break;
                default:
                    throw new IOException(seen.Problem);
            }
        }
        context.Filling.Prepare();
    }

    /// <summary>
    /// Makes room for a copy: beside the data where the disk allows, so that the data stay until the copy is whole.
    /// </summary>
    /// <exception cref="IOException">What stands there can be neither moved nor removed.</exception>
    public void PrepareForCopy(IProgress<string> progress)
    {
        if (DataDirectoryState.Look(context.DataDirectory).Kind != Ha.DataDirectory.Ready)
        {
            PrepareEmpty();
            return;
        }
        context.Filling.Drop();
        if (DataRemoval.CanStayBeside(context.DataDirectory))
        {
            progress.Report("copies; the data stay until the copy is whole");
            return;
        }
        progress.Report("makes room: the data cannot stay in place until the copy is whole");
        PrepareEmpty();
    }

    /// <summary>
    /// Empties the data directory for a script, and writes a marker beside it: until the script has ended, it is not
    /// whole.
    /// </summary>
    public void PrepareForScript(string name)
    {
        PrepareEmpty();
        if (!context.Filling.TryMarkUnfinished())
        {
            LogNoMarker(context.Filling.Marker, name);
        }
    }

    /// <summary>
    /// A separate WAL directory has to be empty too: what stands there belongs to data that were moved away.
    /// </summary>
    /// <exception cref="IOException">The directory holds other files, or a process uses it.</exception>
    public static void EmptyWalDirectory(ImmutableArray<ProgramOption> options)
    {
        if (options.FirstOrDefault(option => option.Name is "waldir" or "X")?.Value is not { } directory
            || !Directory.Exists(directory) || !Directory.EnumerateFileSystemEntries(directory).Any())
        {
            return;
        }
        if (Directory.EnumerateFileSystemEntries(directory).Select(Path.GetFileName)
            .FirstOrDefault(name => !WalName.IsMatch(name!)) is { } other)
        {
            throw new IOException($"{directory} is to hold the WAL, and holds {other}");
        }
        if (OpenFiles.FindUser(directory) is { } pid)
        {
            throw new IOException($"{directory} is to hold the WAL, and process {pid} uses it");
        }
        if (!DataRemoval.CanRename(directory))
        {
            throw new IOException(
                $"{directory} holds the WAL of data that were moved away, and cannot be renamed: empty it");
        }
        var aside = directory.TrimEnd('/') + DataRemoval.Replaced;
        if (Directory.Exists(aside))
        {
            Directory.Delete(aside, recursive: true);
        }
        Directory.Move(directory, aside);
    }

    /// <summary>The whole copy takes the place of the data that it was made beside.</summary>
    /// <exception cref="IOException">Something in the data directory cannot be moved.</exception>
    public void ReplaceByCopy()
    {
        if (context.Filling.Replace() is { } aside)
        {
            LogReplaced(aside);
        }
    }

    [LoggerMessage(EventId = 2072, Level = LogLevel.Warning,
        Message = "A copy takes the place of the data directory; what is kept of the former data: {Aside}")]
    private partial void LogReplaced(string aside);

    [LoggerMessage(EventId = 2074, Level = LogLevel.Warning,
        Message = "Ended {Count} programs that an earlier agent had started on {Directory}")]
    private partial void LogLeftovers(int count, string directory);

    [LoggerMessage(EventId = 2073, Level = LogLevel.Warning,
        Message = "{Marker} cannot be written: if the agent ends while {Script} runs, the next agent may take an "
            + "incomplete data directory for a whole one")]
    private partial void LogNoMarker(string marker, string script);
}
