using System.CommandLine;
using Routing.Cli.Members;
using Routing.Cli.Output;
using Routing.Cli.Sql;

namespace Routing.Cli.Commands;

/// <summary><c>query</c>: SQL on a member that is named, or has a role.</summary>
internal static class QueryCommand
{
    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var format = CommonOptions.OptionalFormat("tsv", "--format");
        var file = new Option<string?>("--file", "-f") { Description = "A file with SQL", HelpName = "FILE" };
        var text = new Option<string?>("--command", "-c") { Description = "The SQL", HelpName = "SQL" };
        var password = new Option<bool>("--password") { Description = "Ask for the password" };
        var user = new Option<string?>("--username", "-U") { Description = "Database user", HelpName = "NAME" };
        var database = new Option<string?>("--dbname", "-d") { Description = "Database", HelpName = "NAME" };
        var role = CommonOptions.Role(RoleFilter.Leader);
        var member = CommonOptions.OneMember();
        var delimiter = new Option<string?>("--delimiter")
        {
            Description = "What parts the columns of tsv. Default: a tab",
            HelpName = "TEXT",
        };
        var watchByDefault = CommonOptions.WatchByDefault();
        var watch = CommonOptions.Watch();
        var group = CommonOptions.Group();
        var command = new Command("query", "Run SQL on a member, by default on the leader")
        {
            name, format, file, text, password, user, database, role, member, delimiter, watchByDefault, watch, group,
        };
        return host.Add(command, async (session, parsed, cancellationToken) =>
        {
            var sql = await SqlAsync(parsed.GetValue(text), parsed.GetValue(file), cancellationToken);
            var target = MemberQuery.From(parsed, role, member, RoleFilter.Leader);
            var cluster = session.ClusterName(parsed.GetValue(name));
            var secret =
                parsed.GetValue(password) ? await session.Prompts.AskSecretAsync("Password", cancellationToken) : null;
            await using var store = session.Open(cluster, parsed.GetValue(group) ?? session.OnlyGroup());
            await using var query = new MemberSql(
                session, store, target, new SqlLogin(parsed.GetValue(user), secret, parsed.GetValue(database)));
            var interval = Watching.Interval(parsed.GetValue(watchByDefault), parsed.GetValue(watch));
            await Watching.RepeatAsync(
                session,
                interval,
                async output =>
                {
                    foreach (var result in await query.RunAsync(sql, cancellationToken))
                    {
                        result.Print(
                            output, parsed.GetValue(format) ?? OutputFormat.Tsv, parsed.GetValue(delimiter) ?? "\t");
                    }
                },
                isInPlace: false,
                cancellationToken);
            return ExitCode.Success;
        });
    }

    private static async Task<string> SqlAsync(string? text, string? file, CancellationToken cancellationToken) =>
        (text, file) switch
    {
        ({ }, { }) => throw new CtlException("--file and --command are mutually exclusive options"),
        ({ } given, null) => given,
        (null, { } path) => await ReadAsync(path, cancellationToken),
        _ => throw new CtlException("You need to specify either --command or --file"),
    };

    private static async Task<string> ReadAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            return await File.ReadAllTextAsync(file, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CtlException($"The file {file} can't be read: {e.Message}", hint: null, e);
        }
    }
}
