using System.CommandLine;
using System.Globalization;
using Routing.Cli.Events;
using Routing.Cli.Members;
using Routing.Cluster.Events;

namespace Routing.Cli.Commands;

/// <summary><c>events</c>: what has happened on the members, in one order.</summary>
internal static class EventsCommand
{
    private const int LastByDefault = 100;

    public static Command Create(CommandHost host)
    {
        var names = CommonOptions.MemberNames();
        names.Description = "The cluster, where the configuration has no scope; then only these members";
        var group = CommonOptions.Group();
        var format = CommonOptions.Format();
        var follow = new Option<bool>("--follow") { Description = "Go on with what happens, until it is interrupted" };
        var kinds = new Option<string[]>("--kind")
        {
            Description = "Only events of this kind; may be given again",
            HelpName = "KIND",
            Arity = ArgumentArity.ZeroOrMore,
        };
        kinds.AcceptOnlyFromAmong([.. EventKind.All]);
        var most = new Option<int?>("--last")
        {
            Description = $"At most so many of those that are past. Default: {LastByDefault}",
            HelpName = "N",
            CustomParser = result =>
            {
                if (int.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture,
                    out var number))
                {
                    return number;
                }
                result.AddError($"'{result.Tokens[0].Value}' is no number of events.");
                return 0;
            },
        };
        var command = new Command("events", "Show what has happened on the members, in one order")
        {
            names, group, format, follow, kinds, most,
        };
        return host.Add(command, async (session, parsed, cancellationToken) =>
        {
            var words = MemberWords.Read(session, parsed.GetValue(names) ?? []);
            var output = parsed.GetValue(format);
            var wanted = parsed.GetValue(kinds) ?? [];
            await using var store = session.Open(words.Cluster, parsed.GetValue(group) ?? session.OnlyGroup());
            var snapshot = await store.ReadAsync(cancellationToken);
            session.HintIfUnknown(snapshot, words.Cluster, parsed.GetValue(group));
            var members = words.In(snapshot);
            var history = await EventHistory.ReadAsync(session, members, cancellationToken);
            foreach (var problem in history.Problems)
            {
                session.Screen.WriteHint($"{problem}: its events are missing here.");
            }
            ClusterEvent[] shown =
            [
                .. history.Events.Where(item => wanted.Length == 0 || wanted.Contains(item.Kind))
                    .TakeLast(parsed.GetValue(most) ?? LastByDefault),
            ];
            if (!parsed.GetValue(follow))
            {
                EventText.Print(session.Screen.Output, shown, output);
                return ExitCode.Success;
            }
            var width = members.Max(member => member.Name.Length);
            if (EventText.Heading(output) is { } heading)
            {
                session.Screen.WriteLine(heading);
            }
            foreach (var item in shown)
            {
                EventText.PrintOne(session.Screen.Output, item, output, width);
            }
            await new EventFollower(session, store, words, output) { Kinds = wanted }
                .RunAsync(members, history.Events, cancellationToken);
            return ExitCode.Success;
        });
    }
}
