using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Settings;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary>The section <c>postgresql</c> of the local configuration.</summary>
internal static class PostgresqlSection
{
    /// <summary>Reads the section and warns of keys that it does not know.</summary>
    public static PostgresSettings Read(SectionReader postgresql)
    {
        var (hosts, port) = ReadListen(postgresql);
        var connect = postgresql.Has("connect_address") || postgresql.Has("listen")
            ? ConnectAddress.Read(postgresql, hosts.FirstOrDefault() ?? "", port)
            : ConnectAddress.Required(postgresql, "connect_address");
        var data = postgresql.RequiredText("data_dir");
        data = data.Length == 0 ? data : Path.TrimEndingDirectorySeparator(Path.GetFullPath(data));
        var programs = postgresql.Section("bin_name");
        var defaults = new ProgramNames();
        var settings = new PostgresSettings
        {
            ListenAddresses = hosts,
            Port = port,
            ConnectAddress = connect,
            ProxyAddress = postgresql.Address("proxy_address", 5432),
            DataDirectory = data,
            ConfigDirectory = postgresql.Text("config_dir") is { Length: > 0 } directory
                ? Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory))
                : data,
            ConfigBaseName = postgresql.Text("config_base_name") ?? "postgresql",
            BinDirectory = postgresql.Text("bin_dir") is { Length: > 0 } bin ? bin : null,
            Programs = new ProgramNames
            {
                PgCtl = programs.Text("pg_ctl") ?? defaults.PgCtl,
                InitDb = programs.Text("initdb") ?? defaults.InitDb,
                PgControlData = programs.Text("pg_controldata") ?? defaults.PgControlData,
                PgBaseBackup = programs.Text("pg_basebackup") ?? defaults.PgBaseBackup,
                Postgres = programs.Text("postgres") ?? defaults.Postgres,
                PgIsReady = programs.Text("pg_isready") ?? defaults.PgIsReady,
                PgRewind = programs.Text("pg_rewind") ?? defaults.PgRewind,
            },
            PasswordFile = postgresql.Text("pgpass") is { Length: > 0 } file
                ? Path.GetFullPath(file)
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), "pgpass"),
            Database = postgresql.Text("database") ?? "postgres",
            Authentication = PostgresUsersSection.Read(postgresql),
            Shared = PostgresSectionReader.ReadShared(postgresql),
        };
        programs.WarnUnknownKeys();
        WarnOfControlled(postgresql, settings.Shared.Parameters);
        if (postgresql.Has("use_slots"))
        {
            postgresql.Ignore("use_slots");
            postgresql.Warn("use_slots", "has no effect here: it belongs into the dynamic configuration");
        }
        postgresql.Ignore("name");
        postgresql.WarnUnknownKeys();
        return settings;
    }

    /// <summary>What all members have to agree on does not stand in the file of one.</summary>
    private static void WarnOfControlled(
        SectionReader postgresql, ImmutableSortedDictionary<string, string>? parameters)
    {
        foreach (var name in parameters?.Keys ?? [])
        {
            if (ControlledParameters.Contains(name))
            {
                postgresql.Warn($"parameters.{name}", ControlledParameters.IsSetByAgent(name)
                    ? "has no effect: it is set by the agent"
                    : "has no effect here: all members have to agree on it, and it belongs into the dynamic "
                        + "configuration");
            }
        }
    }

    private static (ImmutableArray<string> Hosts, int Port) ReadListen(SectionReader postgresql)
    {
        const string Wanted = "host:port, or hosts separated by commas and one port, or *:port";
        if (!postgresql.Has("listen"))
        {
            postgresql.Ignore("listen");
            postgresql.Missing("listen");
            return ([], 5432);
        }
        if (postgresql.Text("listen") is not { } text)
        {
            return ([], 5432);
        }
        // The port stands once, behind the last host.
        var comma = text.LastIndexOf(',');
        var hosts =
            comma < 0 ? [] : text[..comma].Split(',', StringSplitOptions.TrimEntries).Select(HostAlone).ToList();
        var lastText = text[(comma + 1)..].Trim();
        if (!HostPort.TryParse(lastText, 5432, out var last) || hosts.Contains(null)
            || last.Host.All(char.IsAsciiDigit))
        {
            postgresql.Wrong("listen", Wanted);
            return ([], 5432);
        }
        ConnectAddress.WarnAmbiguous(postgresql, "listen", lastText);
        hosts.Add(last.Host);
        if (hosts.Count > 1 && hosts.Contains("*"))
        {
            postgresql.Wrong("listen", "* alone, or a list of hosts without it");
        }
        return ([.. hosts.Select(host => host!)], last.Port);
    }

    /// <summary>A host without a port; null when it is none.</summary>
    private static string? HostAlone(string text)
    {
        var bracketed = text.Contains(':', StringComparison.Ordinal) && !text.StartsWith('[') ? $"[{text}]" : text;
        return HostPort.TryParse(bracketed, 0, out var host) && host.Port == 0 ? host.Host : null;
    }
}
