using Npgsql;

namespace Routing.Driver;

/// <summary>
/// The server rolled a unit of work back, although the work returned without an exception: a statement in it had
/// failed, and the work went on. Nothing was committed.
/// </summary>
/// <remarks>Not transient: the work that caught the exception of its statement would do so again.</remarks>
public sealed class RolledBackException : NpgsqlException
{
    internal RolledBackException(PostgresException cause)
        : base("Nothing was committed: a statement of the unit of work had failed, and the work went on without it. " +
               "Let the exception through, or use a savepoint.", cause)
    {
    }

    /// <inheritdoc/>
    public override bool IsTransient => false;
}
