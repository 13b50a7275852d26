using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Programs;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>
/// Sets up a new cluster that runs: its roles, the statements and the script of <c>post_bootstrap</c>.
/// </summary>
internal sealed partial class PostBootstrap(ServerContext context)
{
    private const string DuplicateObject = "42710";

    private static readonly string[] s_rewindFunctions =
    [
        "pg_catalog.pg_ls_dir(text, boolean, boolean)",
        "pg_catalog.pg_stat_file(text, boolean)",
        "pg_catalog.pg_read_binary_file(text)",
        "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)",
    ];

    private readonly ILogger _logger = context.Logger;

    /// <summary>Makes the roles of the settings, and runs post_bootstrap between them.</summary>
    /// <exception cref="IOException">A statement or the script failed.</exception>
    /// <exception cref="NpgsqlException">The server refused a role, or does not answer.</exception>
    public async Task RunAsync(
        BootstrapSettings bootstrap, IProgress<string> progress, CancellationToken cancellationToken)
    {
        progress.Report("running post-bootstrap");
        await using (var session = await context.Connections.OpenAsync(ServerSession.Quiet, cancellationToken))
        {
            await CreateOrAlterAsync(session, context.Users.Superuser, "SUPERUSER", cancellationToken);
            foreach (var (index, statement) in bootstrap.PostBootstrapSql.SelectMany(SqlText.Statements).Index())
            {
                await RunStatementAsync(session, index + 1, statement, cancellationToken);
            }
        }
        if (bootstrap.PostBootstrapCommand is { } command)
        {
            await RunPostBootstrapCommandAsync(command, cancellationToken);
        }
        await using (var session = await context.Connections.OpenAsync(ServerSession.Quiet, cancellationToken))
        {
            await CreateOrAlterAsync(session, context.Users.Replication, "REPLICATION", cancellationToken);
            if (context.Users.Rewind is { } rewind)
            {
                await CreateOrAlterAsync(session, rewind, "", cancellationToken);
                foreach (var function in s_rewindFunctions)
                {
                    await session.ExecuteAsync(
                        $"GRANT EXECUTE ON FUNCTION {function} TO {SqlText.Identifier(rewind.Username)}",
                        cancellationToken);
                }
            }
        }
    }

    private static async Task CreateOrAlterAsync(
        ServerSession session, PostgresUser user, string attributes, CancellationToken cancellationToken)
    {
        var exists = await session.TextAsync(
            $"SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {SqlText.Literal(user.Username)}",
            cancellationToken) is not null;
        var password = user.Password is null ? "" : $" PASSWORD {SqlText.Literal(user.Password)}";
        await session.ExecuteAsync(
            $"{(exists ? "ALTER" : "CREATE")} ROLE {SqlText.Identifier(user.Username)} WITH LOGIN "
                + $"{attributes}{password}",
            cancellationToken);
    }

    /// <summary>
    /// Runs a statement of the user's list. A role that exists already gets the attributes that it was to be created
    /// with.
    /// </summary>
    private async Task RunStatementAsync(
        ServerSession session, int number, string statement, CancellationToken cancellationToken)
    {
        try
        {
            await ExecuteOrAlterAsync(session, statement, cancellationToken);
        }
        catch (PostgresException error)
        {
            // The server's words may quote the statement, and with it a password; what is returned here is public.
            LogStatementFailed(number, error.SqlState, error.MessageText);
            throw new IOException(
                $"statement {number} of post_bootstrap failed (SQLSTATE {error.SqlState}); the agent's log has the "
                    + "server's words");
        }
    }

    private static async Task ExecuteOrAlterAsync(
        ServerSession session, string statement, CancellationToken cancellationToken)
    {
        try
        {
            await session.ExecuteAsync(statement, cancellationToken);
        }
        catch (PostgresException error) when (error.SqlState == DuplicateObject
            && RoleStatement.AsAlter(statement) is { } alterations)
        {
            foreach (var alteration in alterations)
            {
                await session.ExecuteAsync(alteration, cancellationToken);
            }
        }
    }

    private async Task RunPostBootstrapCommandAsync(string text, CancellationToken cancellationToken)
    {
        var process =
            context.Postmaster.Find() ?? throw new IOException("PostgreSQL ended before the post-bootstrap script.");
        var file = context.Postmaster.ReadFile(process) ?? throw new IOException("PostgreSQL has no postmaster.pid.");
        var effective = await context.Settings.ForAsync(Role.Primary, cancellationToken);
        var address = context.Connections.AddressOf(file, effective.Config);
        var superuser = context.Users.Superuser;
        PasswordFile.Write(context.Settings.Postgres.PasswordFile, [(address.Host, address.Port, superuser)]);
        var connection =
            ProgramConnection.ForScript(
                context.Settings.Local, superuser, address, effective.Config, effective.Major);
        var command = ProgramRunner.CommandFor(text, connection.Text) with
        {
            Environment =
                connection.Environment.SetItem("PGOPTIONS", "-c synchronous_commit=local -c statement_timeout=0"),
        };
        if (await context.Runner.RunScriptAsync("post_bootstrap", command, cancellationToken)
            is { Ok: false } failed)
        {
            throw new IOException(failed.Detail);
        }
    }

    [LoggerMessage(EventId = 2016, Level = LogLevel.Error,
        Message = "Statement {Number} of post_bootstrap failed: SQLSTATE {SqlState}: {Problem}")]
    private partial void LogStatementFailed(int number, string sqlState, string problem);
}
