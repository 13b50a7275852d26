using System.CommandLine;
using Routing.Cli.Members;
using Routing.Cli.Why;

namespace Routing.Cli.Commands;

/// <summary>
/// <c>why</c>: why members lead or do not; how the leader changed last; what a synchronous commit waits for.
/// </summary>
internal static class WhyCommand
{
    public static Command Create(CommandHost host)
    {
        var names = CommonOptions.MemberNames();
        names.Description = "The cluster, where the configuration has no scope; then only these members";
        var group = CommonOptions.Group();
        var format = CommonOptions.Format();
        var last = new Option<bool>("--last")
        {
            Description = "How the leader changed last: the members asked, the one elected, the time of each step",
        };
        var commit = new Option<bool>("--commit")
        {
            Description = "What a synchronous commit waits for now, and what happens when a standby is lost",
        };
        var command = new Command("why", "Say why members lead or do not, and why there is no failover")
        {
            names, group, format, last, commit,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(last) && result.GetValue(commit))
            {
                result.AddError("--last and --commit are mutually exclusive options");
            }
        });
        return host.Add(command, async (session, parsed, cancellationToken) =>
        {
            var words = MemberWords.Read(session, parsed.GetValue(names) ?? []);
            var output = parsed.GetValue(format);
            await using var store = session.Open(words.Cluster, parsed.GetValue(group) ?? session.OnlyGroup());
            var snapshot = await store.ReadAsync(cancellationToken);
            session.HintIfUnknown(snapshot, words.Cluster, parsed.GetValue(group));
            var members = words.In(snapshot);
            return parsed.GetValue(last) ? await StoryReport.RunAsync(session, members, output, cancellationToken)
                : parsed.GetValue(commit)
                    ? await CommitReport.RunAsync(session, snapshot, words, output, cancellationToken)
                    : await ReasonReport.RunAsync(
                        session, members, words.Members.Count == 1, output, cancellationToken);
        });
    }
}
