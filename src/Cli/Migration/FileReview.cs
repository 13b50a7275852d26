using Routing.Cli.Checks;

namespace Routing.Cli.Migration;

/// <summary>What the configuration files of the nodes tell of a migration. Pure.</summary>
internal static class FileReview
{
    /// <summary>The findings of each file, then those of all together.</summary>
    public static IEnumerable<Finding> Of(IReadOnlyList<NodeFile> files) =>
        files.SelectMany(OfOne).Concat(OfAll(files));

    private static IEnumerable<Finding> OfOne(NodeFile file)
    {
        foreach (var error in file.Result.Errors)
        {
            yield return Finding.Error(file.Subject, $"is refused by the agent: {error}");
        }
        foreach (var error in file.Result.BootstrapErrors)
        {
            yield return Finding.Warning(file.Subject, $"could not make a new cluster: {error}");
        }
        if (file.Has("etcd") && !file.Has("etcd3"))
        {
            yield return Finding.Error(
                file.Subject,
                "has a section etcd: Patroni keeps its keys in version 2 of etcd's API, and the agent looks for them "
                    + "in version 3. Move Patroni to etcd3 first, in a pause");
        }
        if (file.Has("citus"))
        {
            yield return Finding.Error(file.Subject, "is part of a Citus cluster, which the agent does not manage");
        }
        foreach (var warning in file.Result.Warnings.Where(warning => warning.Path is not ("etcd" or "citus")))
        {
            yield return Finding.Warning(file.Subject, $"has what is ignored or read otherwise: {warning}");
        }
        foreach (var note in Notes(file))
        {
            yield return Finding.Note(file.Subject, note);
        }
    }

    /// <summary>What is honoured, and behaves otherwise than with Patroni.</summary>
    private static IEnumerable<string> Notes(NodeFile file)
    {
        if (file.IsOn("postgresql", "before_stop"))
        {
            yield return "has before_stop: it is ended, or left out, where it would outlast the lease";
        }
        if (file.IsOn("postgresql", "remove_data_directory_on_rewind_failure")
            || file.IsOn("postgresql", "remove_data_directory_on_diverged_timelines"))
        {
            yield return "removes its data when they have diverged: they stay until the copy is whole, where there is "
                + "room";
        }
        if (file.Settings is { } settings
            && settings.Postgres.Shared.Parameters?.ContainsKey("synchronous_standby_names") == true)
        {
            yield return "sets synchronous_standby_names: a synchronous mode overrules it, also from ALTER SYSTEM";
        }
        if (file.Has("log"))
        {
            yield return "has a section log: names of loggers and the words of lines differ (see docs/operations.md)";
        }
    }

    private static IEnumerable<Finding> OfAll(IReadOnlyList<NodeFile> files)
    {
        var read = files.Where(file => file.Settings is not null).ToList();
        foreach (var (what, groups) in new (string, IEnumerable<IGrouping<string, NodeFile>>)[]
        {
            ("the name", read.GroupBy(file => file.Settings!.Name, StringComparer.Ordinal)),
            ("postgresql.connect_address",
                read.GroupBy(file => file.Settings!.Postgres.ConnectAddress.ToString(), StringComparer.Ordinal)),
            ("restapi.connect_address",
                read.GroupBy(file => file.Settings!.Rest.ConnectAddress.ToString(), StringComparer.Ordinal)),
        })
        {
            foreach (var group in groups.Where(group => group.Key.Length > 0 && group.Count() > 1))
            {
                yield return Finding.Error(
                    string.Join(", ", group.Select(file => file.Path)), $"have {what} {group.Key} in common");
            }
        }
        foreach (var (what, values) in new (string, IEnumerable<string>)[]
        {
            ("scope", read.Select(file => file.Settings!.Scope)),
            ("namespace", read.Select(file => file.Settings!.Namespace.Trim('/'))),
        })
        {
            if (values.Distinct(StringComparer.Ordinal).ToArray() is { Length: > 1 } different)
            {
                yield return Finding.Error("the files", $"name more than one {what}: {string.Join(", ", different)}");
            }
        }
        foreach (var (what, values) in new (string, IEnumerable<object?>)[]
        {
            ("the superuser", read.Select(file => (object?)Login(file.Settings!.Postgres.Authentication.Superuser))),
            ("the user for replication",
                read.Select(file => (object?)Login(file.Settings!.Postgres.Authentication.Replication))),
            ("the user for pg_rewind",
                read.Select(file => (object?)Login(file.Settings!.Postgres.Authentication.RewindOrSuperuser))),
        })
        {
            if (values.Distinct().Skip(1).Any())
            {
                yield return Finding.Warning(
                    "the files", $"differ in {what} or its password: each leader has to admit all others");
            }
        }

        static (string Name, string? Password) Login(Agent.Config.PostgresUser user) => (user.Username, user.Password);
    }
}
