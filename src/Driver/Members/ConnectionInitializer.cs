using Npgsql;

namespace Routing.Driver.Members;

/// <summary>What the application wants to be done on each new connection; both or none.</summary>
internal readonly record struct ConnectionInitializer(
    Action<NpgsqlConnection>? Sync, Func<NpgsqlConnection, Task>? Async);
