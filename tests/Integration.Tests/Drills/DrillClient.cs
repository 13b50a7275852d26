using System.Globalization;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>Where the clients of a drill go.</summary>
/// <param name="Cluster">The cluster.</param>
/// <param name="Port">The proxy's port for writes.</param>
/// <param name="Directory">For files of clients; PostgreSQL's user may write there.</param>
internal sealed record DrillPlace(TestCluster Cluster, int Port, TempDirectory Directory)
{
    /// <summary>A user who logs in with SCRAM and is no superuser.</summary>
    public const string User = "driller";

    public const string Password = "drills";

    /// <summary>A role that the user may take.</summary>
    public const string Role = "drill_keeper";

    /// <summary>Npgsql's settings for that user; nothing is given up soon, as a machine may be slow.</summary>
    public string ConnectionString => string.Create(
        CultureInfo.InvariantCulture, $"Host=127.0.0.1;Port={Port};Database=postgres;{Login}");

    /// <summary>The same without host, port and database.</summary>
    public static string Login =>
        $"Username={User};Password={Password};SSL Mode=Disable;GSS Encryption Mode=Disable;Timeout=120;"
        + "Command Timeout=120";
}

/// <summary>An application that writes rows, or asks, through all that happens, and counts what it was told.</summary>
/// <param name="name">Its name in the report.</param>
/// <param name="table">Its table.</param>
internal abstract class DrillClient(string name, string table)
{
    public string Name => name;

    /// <summary>The table of its rows, <c>(worker text, n bigint)</c>, without a constraint.</summary>
    public string Table => table;

    /// <summary>What has to be installed for it; null: it can run.</summary>
    public virtual string? Missing => null;

    /// <summary>Its waits.</summary>
    public Pauses Pauses { get; } = new();

    /// <summary>Rows that it was told are committed; known at its end.</summary>
    public long Acknowledged { get; protected set; }

    /// <summary>Makes what it needs in the database. As the superuser.</summary>
    public virtual Task PrepareAsync(TestNode leader) => leader.SqlAsync(
        $"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (worker text, n bigserial);"
        + $"GRANT ALL ON {table}, {table}_n_seq TO {DrillPlace.User}, {DrillPlace.Role}");

    /// <summary>A figure that grows while it gets answers.</summary>
    public virtual async Task<long> DoneAsync(TestNode leader) => long.Parse(
        (await leader.SqlAsync($"SELECT count(*) FROM {table}"))!, NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>Works until it has been enough.</summary>
    /// <exception cref="Exception">Whatever went wrong: no error is expected.</exception>
    public abstract Task RunAsync(DrillPlace place, CancellationToken enough);

    /// <summary>Nothing that was acknowledged is missing, and nothing is there twice. After its end.</summary>
    public virtual async Task VerifyAsync(TestNode leader) => Assert.Equal(
        string.Create(
            CultureInfo.InvariantCulture, $"{Acknowledged} rows, {Acknowledged} different ones, acknowledged"),
        await leader.SqlAsync(
            $"SELECT count(*) || ' rows, ' || count(DISTINCT (worker, n)) || ' different ones, acknowledged' "
            + $"FROM {table}"));
}
