using Npgsql;

namespace Routing.Driver.Members;

/// <summary>Where a connection came from that lives on when it is closed.</summary>
/// <param name="Pool">Its pool.</param>
/// <param name="Target">What it was asked for.</param>
/// <param name="ConnectionString">Its settings then.</param>
internal sealed record Origin(MemberPool Pool, TargetSessionAttributes Target, string ConnectionString);
