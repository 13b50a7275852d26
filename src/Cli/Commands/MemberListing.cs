using Microsoft.Extensions.Logging;
using Routing.Cli.Members;
using Routing.Cli.Output;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary>What <c>list</c> and <c>topology</c> do: member tables, once or again and again.</summary>
internal static partial class MemberListing
{
    /// <summary>What to show.</summary>
    internal sealed record Request(
        IReadOnlyList<string> Names, int? Group, OutputFormat Format, TimeSpan? Interval, bool Extended = false,
        bool WithTime = false);

    public static async Task<int> ShowAsync(Session session, Request request, CancellationToken cancellationToken)
    {
        var names = request.Names.Count > 0 ? request.Names : session.Settings.Scope is { } scope ? [scope] : [];
        if (names.Count == 0)
        {
            LogNoNames(session.Logger);
            return ExitCode.Success;
        }
        var group = request.Group ?? session.OnlyGroup();
        var isColoured = request.Interval is not null && session.Screen.HasColours;
        var clusters = new List<(string Name, IClusterStore Store)>();
        try
        {
            clusters.AddRange(names.Select(name => (name, session.Open(name, group))));
            await Watching.RepeatAsync(session, request.Interval, text => PrintAsync(text, clusters), isInPlace: true,
                cancellationToken);
            return ExitCode.Success;
        }
        finally
        {
            foreach (var (_, store) in clusters)
            {
                await store.DisposeAsync();
            }
        }

        async Task PrintAsync(TextWriter text, List<(string Name, IClusterStore Store)> stores)
        {
            if (request.WithTime)
            {
                await text.WriteLineAsync(session.Timestamp(withFraction: false));
            }
            foreach (var (name, store) in stores)
            {
                var snapshot = await store.ReadAsync(cancellationToken);
                var options = new MemberTable.Options
                {
                    Extended = request.Extended,
                    IsColoured = isColoured,
                    Progress = await CopyProgress.AskAsync(session, snapshot, cancellationToken),
                };
                MemberTable.Print(text, snapshot, name, group, request.Format, options);
                session.HintIfUnknown(snapshot, name, group);
            }
        }
    }

    [LoggerMessage(EventId = 8001, Level = LogLevel.Warning,
        Message = "Nothing to list: no cluster is named, and the configuration has no scope")]
    private static partial void LogNoNames(ILogger logger);
}
