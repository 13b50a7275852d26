using Routing.Ha;

namespace Routing.Agent.Postgres.Files;

/// <summary>What stands in the data directory.</summary>
/// <param name="Kind">Empty, ready, or of no use.</param>
/// <param name="Problem">Why it is of no use, or why pg_control is; null when all is well.</param>
/// <param name="Control">pg_control of a ready directory, when it can be read.</param>
internal sealed record DataDirectoryState(DataDirectory Kind, string? Problem, PgControl? Control)
{
    /// <summary>Looks.</summary>
    /// <param name="directory">The data directory.</param>
    /// <param name="inUse">A server runs on it: then it is whole, whatever stands beside it.</param>
    public static DataDirectoryState Look(string directory, bool inUse = false)
    {
        try
        {
            if (IsMissingOrEmpty(directory))
            {
                return new(DataDirectory.Empty, null, null);
            }
            var filling = new DataFilling(directory);
            if (!File.Exists(Path.Combine(directory, "PG_VERSION")))
            {
                return !inUse && filling.IsUnfinished
                    ? new(DataDirectory.Empty, null, null)
                    : new(DataDirectory.Inaccessible, $"{directory} is neither empty nor a PostgreSQL data directory",
                        null);
            }
            return inUse ? new(DataDirectory.Ready, null, PgControl.Read(directory)) : LookAtData(directory, filling);
        }
        catch (InvalidDataException error)
        {
            return new(DataDirectory.Ready, error.Message, null);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return new(DataDirectory.Inaccessible, $"{directory} is an unfinished copy: {error.Message.TrimEnd('.')}",
                null);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new(DataDirectory.Inaccessible, error.Message.TrimEnd('.'), null);
        }
    }

    private static bool IsMissingOrEmpty(string directory)
    {
        try
        {
            return DataFilling.IsEmpty(directory);
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
    }

    private static DataDirectoryState LookAtData(string directory, DataFilling filling)
    {
        PgControl control;
        try
        {
            control = PgControl.Read(directory);
        }
        catch (Exception error) when ((error is FileNotFoundException or DirectoryNotFoundException)
            && filling.IsUnfinished)
        {
            return new(DataDirectory.Empty, null, null);   // was being filled: pg_control comes last
        }
        if (filling.IsHalfMade(control.File.SystemId))
        {
            return new(DataDirectory.Empty, null, null);
        }
        return filling.IsUnfinished
            ? new(DataDirectory.Inaccessible,
                $"{directory} holds a database, and {filling.Marker} says that a program was filling it when the "
                    + "agent ended: "
                + "remove that file to use the database as it is, or empty the directory to fill it anew", null)
            : new(DataDirectory.Ready, null, control);
    }
}
