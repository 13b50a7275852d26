using System.Text;
using Microsoft.Extensions.Logging;
using Routing.Agent.Native;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Archives the WAL that still waits for it when its server has ended.</summary>
internal sealed partial class WalArchiving(ServerContext context)
{
    private static readonly TimeSpan s_archiveLimit = TimeSpan.FromMinutes(2);

    private readonly ILogger _logger = context.Logger;

    /// <summary>
    /// Hands finished segments to <c>archive_command</c>: a rewind removes what the new primary does not have.
    /// </summary>
    /// <remarks>
    /// It stops at the first that fails: the archive must have no gap. The rewind goes on all the same.
    /// </remarks>
    public async Task RunAsync(
        EffectiveSettings effective, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var parameters = effective.Config.Parameters;
        if (parameters.GetValueOrDefault("archive_mode") is not ("on" or "always" or "true" or "yes" or "1")
            || parameters.GetValueOrDefault("archive_command") is not { Length: > 0 } template)
        {
            return;
        }
        var status = Path.Combine(context.DataDirectory, "pg_wal", "archive_status");
        var ready = Directory.Exists(status)
            ? Directory.EnumerateFiles(status, "*.ready").Order(StringComparer.Ordinal).ToList()
            : [];
        foreach (var mark in ready)
        {
            var name = Path.GetFileNameWithoutExtension(mark);
            progress.Report($"archiving {name}");
            var text = CommandOf(template, name);
            var command = new Command("/bin/sh", "-c", "cd \"$1\" && exec /bin/sh -c \"$2\"", "sh",
                context.DataDirectory, text) { Timeout = s_archiveLimit };
            if (await context.Runner.RunScriptAsync("archive_command", command, cancellationToken)
                is { Ok: false } failed)
            {
                LogNotArchived($"{name}: {failed.Detail}");
                return;
            }
            File.Move(mark, Path.ChangeExtension(mark, ".done"), overwrite: true);
        }
    }

    /// <summary>
    /// Puts path and name into an archive_command as PostgreSQL does: %p, %f, and %% for a percent sign.
    /// </summary>
    internal static string CommandOf(string template, string name)
    {
        var text = new StringBuilder();
        for (var i = 0; i < template.Length; i++)
        {
            var next = template[i] == '%' && i + 1 < template.Length ? template[i + 1] : ' ';
            var put = next switch
            {
                'p' => $"pg_wal/{name}",
                'f' => name,
                '%' => "%",
                _ => null,
            };
            text.Append(put ?? template[i].ToString());
            i += put is null ? 0 : 1;
        }
        return text.ToString();
    }

    [LoggerMessage(EventId = 2082, Level = LogLevel.Warning,
        Message = "WAL could not be archived before the rewind: {Problem}")]
    private partial void LogNotArchived(string problem);
}
