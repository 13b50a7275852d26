using Routing.Agent.Native;
using Routing.Agent.Postgres.Programs;
using Routing.Agent.Tests.Config;

namespace Routing.Agent.Tests.Postgres;

/// <summary>Where PostgreSQL's programs are looked for.</summary>
public sealed class PostgresProgramsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("postgresql: {bin_dir: /nonexistent/bin}",
        "there is no program /nonexistent/bin/postgres: postgresql.bin_dir ('/nonexistent/bin') must be the folder of "
            + "PostgreSQL's programs")]
    [InlineData("postgresql: {bin_dir: /etc/passwd}",
        "there is no program /etc/passwd/postgres: postgresql.bin_dir ('/etc/passwd') must be the folder of "
            + "PostgreSQL's programs")]
    [InlineData("postgresql: {bin_name: {postgres: no-such-postgres}}",
        "no folder of PATH contains the program no-such-postgres: set postgresql.bin_dir to the folder of "
            + "PostgreSQL's programs")]
    public async Task A_missing_program_is_told_with_the_setting_that_is_meant(string over, string words)
    {
        var settings = Yaml.Load(over).Settings!.Postgres;
        var programs = new PostgresPrograms(settings, new CommandRunner(TimeProvider.System));

        var problem = await Assert.ThrowsAsync<IOException>(() => programs.VersionAsync(Cancellation));

        Assert.Equal(words, problem.Message);
    }
}
