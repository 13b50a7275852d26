using Npgsql;

namespace Routing.Driver;

/// <summary>The answer to a COMMIT was lost: the transaction may be there or not. Look before you repeat it.</summary>
/// <remarks>Not transient: no retry strategy may repeat it blindly.</remarks>
public sealed class AmbiguousCommitException : NpgsqlException
{
    internal AmbiguousCommitException(string member, Exception cause)
        : base(
            $"The connection to {member} was lost while a COMMIT had no answer: the transaction may have been "
                + "committed or not. " +
               $"Look before you repeat it, or give "
                   + $"{nameof(UnitOfWorkOptions)}.{nameof(UnitOfWorkOptions.WasCommitted)} to find out.", cause) =>
        Member = member;

    /// <summary>The member that the COMMIT was sent to.</summary>
    public string Member { get; }

    /// <inheritdoc/>
    public override bool IsTransient => false;
}
