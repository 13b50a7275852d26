using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>
/// Runs a user's script that fills the data directory, and tells how far it is: by the size of that directory, and by
/// the last percentage that the script has printed.
/// </summary>
internal sealed partial class FillingScript(ServerContext context)
{
    private readonly ILogger _logger = context.Logger;
    private double _percent;

    /// <summary>Runs it to its end.</summary>
    /// <exception cref="IOException">It could not be run.</exception>
    public async Task<StepResult> RunAsync(
        string name, Command command, IProgress<string> progress, Action<CopyProgress>? onCopied,
        CancellationToken cancellationToken)
    {
        var marked = LeftoverPrograms.Marked(command, context.DataDirectory);
        return await new GrowthWatch(context.DataDirectory, 0, context.Time).WhileAsync(
            () => context.Runner.RunScriptAsync(name, marked, cancellationToken, line =>
            {
                if (PercentIn(line) is { } percent)
                {
                    Volatile.Write(ref _percent, percent);
                }
            }),
            copied =>
            {
                onCopied?.Invoke(copied);
                progress.Report($"{name} runs: {copied}");
            },
            copied => LogFilled(name, copied), cancellationToken,
            refine: grown => WithTotal(grown, Volatile.Read(ref _percent)));
    }

    /// <summary>The last percentage in a line, more than 0 and at most 100; null: there is none.</summary>
    internal static double? PercentIn(string line) =>
        Percent.Matches(line) is [.., var last]
        && double.TryParse(last.Groups[1].ValueSpan, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture,
            out var percent)
        && percent is > 0 and <= 100
            ? percent
            : null;

    /// <summary>The progress, with the final size that the percentage lets expect; 0 percent: without one.</summary>
    internal static CopyProgress WithTotal(CopyProgress copied, double percent) =>
        percent > 0 ? copied with { Total = (long)(copied.Bytes * 100 / percent) } : copied;

    [GeneratedRegex(@"(?<![\d.])(\d{1,3}(?:\.\d{1,6})?) ?%")]
    private static partial Regex Percent { get; }

    [LoggerMessage(EventId = 2068, Level = LogLevel.Information, Message = "{Script}: {Copied}")]
    private partial void LogFilled(string script, CopyProgress copied);
}
