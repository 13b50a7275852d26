using Microsoft.Extensions.Logging;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>What the operator has to know of the files that configure the server.</summary>
internal sealed partial class ConfigurationLog(ILogger logger)
{
    private readonly ILogger _logger = logger;

    [LoggerMessage(EventId = 2015, Level = LogLevel.Warning,
        Message = "{Parameter} was set by ALTER SYSTEM; the agent sets it, and has taken it out of "
            + "postgresql.auto.conf")]
    public partial void Overruled(string parameter);

    [LoggerMessage(EventId = 2017, Level = LogLevel.Error,
        Message = "PostgreSQL does not accept the new {File}; what it accepted last stays: {Problem}")]
    public partial void Refused(string file, string problem);
}
