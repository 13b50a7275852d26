using System.Globalization;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>
/// A program in <c>Clients</c>. Its last arguments are: the file whose appearance ends it, table, port, user, password.
/// It prints <c>pause ENDED LENGTH</c> (milliseconds since 1970, milliseconds), and <c>done ROWS</c> at the end.
/// </summary>
/// <param name="name">Its name in the report.</param>
/// <param name="table">Its table.</param>
/// <param name="packages">Debian's packages that it needs.</param>
/// <param name="files">Files or folders of those packages; a relative one is below <c>Clients</c>.</param>
/// <param name="command">The program and its first arguments; <c>{}</c> stands for the folder <c>Clients</c>.</param>
internal sealed class ScriptClient(string name, string table, string packages, string[] files, string[] command)
    : ProgramClient(name, table)
{
    private const string Python = "/usr/bin/python3", PythonPackages = "/usr/lib/python3/dist-packages";
    private const string Java = "/usr/bin/java", Jars = "/usr/share/java";

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Clients");

    /// <summary>psycopg 3 with psycopg_pool.</summary>
    public static ScriptClient Psycopg => new(
        "psycopg with psycopg_pool", "drill_psycopg", "python3-psycopg python3-psycopg-pool",
        [$"{PythonPackages}/psycopg", $"{PythonPackages}/psycopg_pool"], [Python, "{}/drill.py", "psycopg"]);

    /// <summary>psycopg2 with its own pool.</summary>
    public static ScriptClient Psycopg2 => new(
        "psycopg2 with its pool", "drill_psycopg2", "python3-psycopg2", [$"{PythonPackages}/psycopg2"],
        [Python, "{}/drill.py", "psycopg2"]);

    /// <summary>node-postgres with pg-pool.</summary>
    public static ScriptClient Node => new(
        "node-postgres with pg-pool", "drill_node", "nodejs npm, and npm ci in Clients", ["node_modules/pg"],
        ["node", "{}/drill.js"]);

    /// <summary>PostgreSQL's JDBC driver with HikariCP.</summary>
    public static ScriptClient Jdbc => new(
        "JDBC with HikariCP", "drill_jdbc", "default-jdk-headless libpostgresql-jdbc-java libhikaricp-java",
        [Java, $"{Jars}/postgresql.jar", $"{Jars}/HikariCP.jar", $"{Jars}/slf4j-api.jar"],
        [Java, "-cp", $"{Jars}/postgresql.jar:{Jars}/HikariCP.jar:{Jars}/slf4j-api.jar", "{}/Drill.java"]);

    public override string? Missing => files.Select(file => Path.Combine(Folder, file)).All(Path.Exists)
        ? null
        : packages;

    protected override IReadOnlyList<string> Command(DrillPlace place) =>
    [
        .. command.Select(word => word.Replace("{}", Folder, StringComparison.Ordinal)), StopFile(place), Table,
        place.Port.ToString(CultureInfo.InvariantCulture), DrillPlace.User, DrillPlace.Password,
    ];

    protected override void Stop(OrdinaryProcess process, DrillPlace place) => File.WriteAllText(StopFile(place), "");

    protected override void Read(string output, DrillPlace place)
    {
        long? done = null;
        foreach (var line in output.Split('\n'))
        {
            switch (line.Split(' '))
            {
                case ["pause", var ended, var length]:
                    Pauses.Add(Number(ended), Number(length));
                    break;
                case ["done", var rows]:
                    done = long.Parse(rows, CultureInfo.InvariantCulture);
                    break;
            }
        }
        Acknowledged = done ?? throw new InvalidOperationException($"{Name} does not say what it did:\n{output}");
    }

    private string StopFile(DrillPlace place) => place.Directory[$"{Table}.stop"];

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
