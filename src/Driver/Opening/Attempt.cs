using Npgsql;
using Routing.Driver.Members;

namespace Routing.Driver.Opening;

/// <summary>A connection of a member's pool that is being opened, or is to be.</summary>
/// <param name="Pool">The pool.</param>
/// <param name="Connection">The connection, which is not open yet.</param>
/// <param name="Opening">The opening that is under way; null: it has not begun.</param>
/// <param name="End">
/// Cancelled when the member ceases to be fit, or is found silent: <see cref="MemberPool.Attempts"/> of the moment at
/// which the member was chosen.
/// </param>
internal sealed record Attempt(MemberPool Pool, NpgsqlConnection Connection, Task? Opening, CancellationToken End);
