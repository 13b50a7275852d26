using Npgsql;
using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>Disks that take nothing more.</summary>
internal static class Disk
{
    /// <summary>Writes a file until no byte is left.</summary>
    public static void Fill(string path)
    {
        using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        var size = 1 << 20;
        while (size > 0)
        {
            try
            {
                file.Write(new byte[size]);
            }
            catch (IOException)
            {
                size /= 2;   // no space for so much
            }
        }
    }

    /// <summary>
    /// Takes the right to write away from everything in a directory. A file that is open already can still be written.
    /// </summary>
    public static void MakeReadOnly(string directory) => Allow(directory, UnixFileMode.None);

    /// <summary>Gives it back.</summary>
    public static void MakeWritable(string directory) => Allow(directory, UnixFileMode.UserWrite);

    /// <summary>
    /// Asks for a new file of WAL and a checkpoint: a server that cannot make the file finds that out now.
    /// </summary>
    public static async Task SwitchWalAsync(TestNode node)
    {
        foreach (var sql in (string[])["SELECT pg_switch_wal()", "CHECKPOINT"])
        {
            try
            {
                await using var connection = new NpgsqlConnection(node.ConnectionString + ";Command Timeout=5");
                await connection.OpenAsync();
                await using var command = new NpgsqlCommand(sql, connection);
                await command.ExecuteScalarAsync();
            }
            catch (Exception found) when (found is NpgsqlException or TimeoutException)
            {
                // found out
            }
        }
    }

    private static void Allow(string directory, UnixFileMode write)
    {
        if (!Directory.Exists(directory))
        {
            return;   // moved away meanwhile
        }
        var read = UnixFileMode.UserRead | UnixFileMode.UserExecute;
        var below = Directory.EnumerateDirectories(directory, "*", SearchOption.AllDirectories);
        foreach (var folder in (string[])[directory, .. below])
        {
            foreach (var file in Directory.EnumerateFiles(folder))
            {
                try
                {
                    File.SetUnixFileMode(file, UnixFileMode.UserRead | write);
                }
                catch (FileNotFoundException)
                {
                    // removed meanwhile
                }
            }
            File.SetUnixFileMode(folder, read | write);
        }
    }
}
