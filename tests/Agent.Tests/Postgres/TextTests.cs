using Routing.Agent.Config;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;
using Routing.Ha;
using Routing.Settings.Postgres;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>The texts that go to PostgreSQL and come from it.</summary>
public sealed class TextTests
{
    [Theory]
    [InlineData("a b", "a|b")]
    [InlineData("  a\t b  ", "a|b")]
    [InlineData("""sh -c "echo \"x\" 'y'" z""", """sh|-c|echo "x" 'y'|z""")]
    [InlineData("""'a b'c\ d''""", "a bc d")]
    [InlineData("""a '' b""", "a||b")]
    [InlineData("""'\n' "\n" \n""", """\n|\n|n""")]
    [InlineData("", "")]
    public void A_command_line_is_split_as_a_shell_does(string text, string words) =>
        Assert.Equal(words, string.Join('|', ShellWords.Split(text)));

    [Fact]
    public void A_quote_that_is_not_closed_is_an_error() =>
        Assert.Throws<FormatException>(() => ShellWords.Split("a 'b"));

    [Theory]
    [InlineData("SELECT 1; SELECT 2", "SELECT 1|SELECT 2")]
    [InlineData("SELECT ';'; ;; -- x;y\n", "SELECT ';'")]
    [InlineData("SELECT E'\\';', \";\" /* ; /* ; */ ; */; x", "SELECT E'\\';', \";\" /* ; /* ; */ ; */|x")]
    [InlineData("SELECT $$;$$; SELECT $a$ $$; $a$", "SELECT $$;$$|SELECT $a$ $$; $a$")]
    [InlineData("SELECT $1; x", "SELECT $1|x")]
    [InlineData(
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 1; END; x",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 1; END|x")]
    [InlineData("BEGIN; COMMIT", "BEGIN|COMMIT")]
    public void A_script_is_parted_into_statements(string text, string statements) =>
        Assert.Equal(statements, string.Join('|', SqlText.Statements(text)));

    [Theory]
    [InlineData("CREATE USER a WITH PASSWORD 'x y' SUPERUSER", "ALTER ROLE a WITH LOGIN PASSWORD 'x y' SUPERUSER")]
    [InlineData("create role \"A b\"", "")]
    [InlineData("CREATE ROLE a NOLOGIN", "ALTER ROLE a WITH NOLOGIN")]
    [InlineData("CREATE USER a LOGIN", "ALTER ROLE a WITH LOGIN")]
    [InlineData("CREATE USER a NOLOGIN CONNECTION LIMIT -1", "ALTER ROLE a WITH NOLOGIN CONNECTION LIMIT - 1")]
    [InlineData(
        "CREATE ROLE a LOGIN IN ROLE b, c ROLE d ADMIN e, f CREATEDB",
        "ALTER ROLE a WITH LOGIN CREATEDB;GRANT b TO a;GRANT c TO a;GRANT a TO d;GRANT a TO e WITH ADMIN OPTION;GRANT "
            + "a TO f WITH ADMIN OPTION")]
    [InlineData("CREATE TABLE a (x int)", null)]
    [InlineData("CREATE", null)]
    public void Creating_a_role_that_exists_alters_it(string statement, string? alterations) =>
        Assert.Equal(alterations, RoleStatement.AsAlter(statement) is { } list ? string.Join(';', list) : null);

    [Theory]
    [InlineData("")]
    [InlineData("a'b\\c d\te=f")]
    [InlineData("plain")]
    [InlineData("'")]
    public void Connection_strings_keep_every_value(string value)
    {
        var text =
            ConnectionText.Write([new("host", "h"), new("nothing", null), new("password", value), new("port", "1")]);

        var pairs = ConnectionText.Read(text);

        Assert.Equal(3, pairs.Count);
        Assert.Equal(("h", value, "1"), (pairs["host"], pairs["password"], pairs["port"]));
    }

    [Theory]
    [InlineData("host=h port=6432 user='the user' password=geheim", "host=h,password=geheim,port=6432,user=the user")]
    [InlineData("postgresql://u:a%40b@h:6432/db?sslmode=require",
        "dbname=db,host=h,password=a@b,port=6432,sslmode=require,user=u")]
    [InlineData("postgres://h", "host=h")]
    [InlineData("postgresql:///db?host=%2Frun%2Fpg", "dbname=db,host=/run/pg")]
    public void A_DSN_is_read_in_each_of_its_forms(string dsn, string expected) => Assert.Equal(
        expected,
        string.Join(',', ConnectionText.ReadAny(dsn).OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => $"{pair.Key}={pair.Value}")));

    [Theory]
    [InlineData("nonsense")]
    [InlineData("")]
    [InlineData("host=h port")]
    [InlineData("host=h port 6432 user=x")]
    [InlineData("postgresql://:::")]
    public void A_DSN_that_is_none_is_refused(string dsn) =>
        Assert.Throws<FormatException>(() => ConnectionText.ReadAny(dsn));

    [Fact]
    public void The_main_file_is_sorted_and_quoted_and_can_be_read_back()
    {
        var text = ConfigurationText.MainFile(
            "base.conf", [new("b", "it's"), new("a", "c:\\x")], [new("primary_conninfo", "user=''x''")]);

        Assert.Equal(
            ConfigurationText.Header
                + "include 'base.conf'\n\na = 'c:\\\\x'\nb = 'it''s'\n\n# recovery\nprimary_conninfo = "
                + "'user=''''x'''''\n",
            text);
        Assert.Equal("it's", ConfigurationText.Find(text, "B"));
        Assert.Equal("c:\\x", ConfigurationText.Find(text, "a"));
        Assert.Equal("user=''x''", ConfigurationText.Find(text, "primary_conninfo"));
        Assert.Null(ConfigurationText.Find(text, "c"));
    }

    [Theory]
    [InlineData("a\nb\r\n")]
    [InlineData("\\n")]
    [InlineData("'\\'\n\\\\n")]
    [InlineData("# no comment")]
    [InlineData("")]
    public void Every_value_stands_on_one_line_and_is_read_back(string value)
    {
        var text = ConfigurationText.MainFile(
            "base.conf", [new("a", value), new("b.c", "x")], [new("restore_command", value)]);

        Assert.Equal(10, text.Split('\n').Length);
        Assert.Equal(value, ConfigurationText.Find(text, "a"));
        var read = ConfigurationText.ReadMainFile(text)!.Value;
        Assert.Equal("base.conf", read.Include);
        Assert.Equal([new("a", value), new("b.c", "x")], read.Parameters);
    }

    [Theory]
    [InlineData("a b")]
    [InlineData("a\nb")]
    [InlineData("")]
    [InlineData("1a")]
    [InlineData("a.b.c")]
    [InlineData("a=b")]
    public void What_is_no_name_is_never_written(string name)
    {
        Assert.False(ParameterName.IsValid(name));
        Assert.Throws<InvalidDataException>(() => ConfigurationText.MainFile("base.conf", [new(name, "x")], []));
    }

    [Theory]
    [InlineData(15, 2, true)]
    [InlineData(11, 2, false)]   // its libpq does not know the keyword
    [InlineData(15, 1, false)]
    public void Of_several_servers_one_that_is_silent_does_not_keep_the_others_waiting(
        int major, int servers, bool givesUp)
    {
        var settings = Config.Yaml.Settings("");
        var config = EffectivePostgresConfig.Combine(settings, DynamicConfig.Default, Role.StandbyLeader, major);
        var upstream = new Upstream(new HostPort("far", 1), null)
        {
            Others = [.. Enumerable.Repeat(new HostPort("farther", 2), servers - 1)],
        };

        var written = RecoverySettings.ForStandby(settings, config, upstream, major)["primary_conninfo"];

        Assert.Equal(givesUp, written.Contains("tcp_user_timeout=10000", StringComparison.Ordinal));
        Assert.Equal(upstream, RecoverySettings.Read(written, null));
    }

    [Fact]
    public void No_secret_stands_on_a_command_line()
    {
        using var directory = new TempDirectory();
        var settings = Config.Yaml.Settings($"postgresql: {{pgpass: {directory["pgpass"]}}}");
        var user = settings.Postgres.Authentication.Replication;
        user = user with { Password = "geheim1",
            Options = user.Options.SetItem("sslpassword", "geheim2").SetItem("sslkey", "/k") };
        var config = EffectivePostgresConfig.Combine(
            settings, DynamicConfig.Default, Role.Replica, 15) with { KerberosServiceName = "krb" };

        var program = ProgramConnection.ForProgram(settings, user, new HostPort("h", 1), config, 15);
        var script = ProgramConnection.ForScript(settings, user, new HostPort("h", 1), config, 15);

        Assert.DoesNotContain("geheim", program.Text + script.Text, StringComparison.Ordinal);
        Assert.Contains("tcp_user_timeout=", program.Text, StringComparison.Ordinal);
        Assert.Contains("keepalives_idle=", program.Text, StringComparison.Ordinal);
        Assert.Equal("krb", program.Environment["PGKRBSRVNAME"]);
        var service = program.Environment["PGSERVICEFILE"]!;
        Assert.Equal("[routing]\nsslpassword=geheim2\n", File.ReadAllText(service));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(service));
        Assert.StartsWith("service=routing ", program.Text, StringComparison.Ordinal);
        Assert.Throws<InvalidDataException>(() => ProgramConnection.ForProgram(
            settings, user with { Options = user.Options.SetItem("sslpassword", "a\nb") }, new HostPort("h", 1), config,
            15));
    }

    [Fact]
    public void Recovery_parameters_leave_the_file_and_nothing_else_does()
    {
        const string text = "# comment\nwork_mem = '4MB'\nPrimary_ConnInfo = 'x'\nrestore_command='y'\n";

        Assert.Equal("# comment\nwork_mem = '4MB'\n",
            ConfigurationText.Without(text, RecoveryParameterNames.All.Contains, out var removed));
        Assert.Equal(["primary_conninfo", "restore_command"], removed);
        Assert.Null(ConfigurationText.Without("\nwork_mem = '4MB'\n", _ => false, out _));
    }

    [Fact]
    public void The_password_file_is_escaped_and_private()
    {
        using var directory = new TempDirectory();
        var user = new PostgresUser { Username = "a:b", Password = "c\\d:e" };

        PasswordFile.Write(directory["pgpass"],
            [("h", 1, user), ("/run/pg", 2, user), ("n", 3, user with { Password = null })]);

        Assert.Equal(
            "h:1:*:a\\:b:c\\\\d\\:e\n/run/pg:2:*:a\\:b:c\\\\d\\:e\nlocalhost:2:*:a\\:b:c\\\\d\\:e\n",
            File.ReadAllText(directory["pgpass"]));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(directory["pgpass"]));
    }

    [Theory]
    [InlineData("postgres (PostgreSQL) 15.18 (Debian 15.18-1)", 150018)]
    [InlineData("postgres (PostgreSQL) 18beta1", 180000)]
    [InlineData("postgres (PostgreSQL) 13.0", 130000)]
    public void The_version_is_read(string text, int version)
    {
        Assert.True(PostgresPrograms.TryParseVersion(text, out var read));
        Assert.Equal(version, read);
    }

    [Fact]
    public void The_postmasters_file_is_read_while_it_grows()
    {
        const string whole = "123\n/data\n1700000000\n5433\n/run/pg\n127.0.0.2\n  1234   0\nready   \n";

        Assert.Null(PostmasterFile.Parse("123\n"));
        Assert.Equal(PostmasterStatus.Unknown, PostmasterFile.Parse("123\n/data\n1700000000\n5433\n")!.Status);
        Assert.Equal(
            new PostmasterFile(123, "/data", 1_700_000_000, 5433, "/run/pg", "127.0.0.2", PostmasterStatus.Ready),
            PostmasterFile.Parse(whole));
    }

    [Theory]
    [InlineData("0/2000028", "0/20000A0")]           // 114 bytes, rounded up to 120
    // 112 of them fit; the rest stands after the next page's short header
    [InlineData("0/2001F90", "0/2002020")]
    [InlineData("0/2FFFF90", "0/3000030")]           // the next page begins a segment: its header is longer
    public void The_end_of_a_shutdown_checkpoint_is_where_the_next_record_begins(string start, string end)
    {
        var file = new ControlFile("1", ControlState.ShutDown, 1, Lsn.Parse(start), Lsn.Zero, 0, true, true);
        var control = new PgControl(file, 1300, Lsn.Zero, 16 * 1024 * 1024, Lsn.Zero, 0, 0, 0, 0, 0);

        Assert.Equal(end, control.EndOfCheckpointRecord.ToString());
    }

    [Fact]
    public void A_damaged_pg_control_is_told_from_one_of_an_unknown_version()
    {
        var bytes = new byte[8192];

        Assert.Contains("version 0", Assert.Throws<InvalidDataException>(() => PgControl.Parse(bytes)).Message,
            StringComparison.Ordinal);
        BitConverter.TryWriteBytes(bytes.AsSpan(8), 1300);
        Assert.Contains("checksum", Assert.Throws<InvalidDataException>(() => PgControl.Parse(bytes)).Message,
            StringComparison.Ordinal);
        Assert.Throws<InvalidDataException>(() => PgControl.Parse([]));
    }

    [Theory]
    [InlineData("100", "100", "integer", true)]
    [InlineData("0100", "100", "integer", true)]
    [InlineData("yes", "on", "bool", true)]
    [InlineData("off", "on", "bool", false)]
    [InlineData("Replica", "replica", "enum", true)]
    [InlineData("a", "b", "string", false)]
    public void Configured_and_present_values_are_compared_by_type(
        string configured, string setting, string type, bool same) =>
        Assert.Equal(same, ParameterValue.Same(configured, setting, type));
}
