using System.Runtime.InteropServices;
using Routing.Agent.Native;
using Routing.Ha;

namespace Routing.Agent.Postgres.Files;

/// <summary>
/// What is known against the data, kept in the data directory: it outlives the agent and goes with the data.
/// </summary>
/// <remarks>
/// A rewind that runs is marked by a named pipe: pg_rewind removes regular files, directories and links that its source
/// does not have, long before it is done, and passes by what is none of these.
/// </remarks>
internal sealed class DamageMark(string dataDirectory)
{
    /// <summary>Holds the reason why the data have diverged.</summary>
    public const string DivergedName = "routing.diverged";

    /// <summary>Stands from the start of a rewind until it has ended well.</summary>
    public const string RewindingName = "routing.rewinding";

    /// <summary>Stands from an operator's request to replace the data until a copy has taken their place.</summary>
    public const string ReinitializeName = "routing.reinitialize";

    private const uint OwnerOnly = 0b110_000_000;

    private string Diverged => Path.Combine(dataDirectory, DivergedName);

    private string Reinitialize => Path.Combine(dataDirectory, ReinitializeName);

    private string Rewinding => Path.Combine(dataDirectory, RewindingName);

    /// <summary>The mark that stands there now.</summary>
    public DataDamage Read() =>
        File.Exists(Reinitialize) ? DataDamage.ToBeReplaced
        : File.Exists(Rewinding) ? DataDamage.HalfRewound
        : File.Exists(Diverged) ? DataDamage.Diverged
        : DataDamage.None;

    /// <summary>The data have left the history of a primary.</summary>
    /// <exception cref="IOException">The mark cannot be written.</exception>
    public void SetDiverged(string reason)
    {
        if (Read() == DataDamage.None)
        {
            DurableFile.Write(Diverged, reason + "\n");
        }
    }

    /// <summary>An operator wants the data replaced by a copy.</summary>
    /// <exception cref="IOException">The mark cannot be written.</exception>
    public void SetToBeReplaced()
    {
        if (!File.Exists(Reinitialize))
        {
            DurableFile.Write(
                Reinitialize, "An operator asked to replace these data by a copy. Remove this file to keep them.\n");
        }
    }

    /// <summary>A comparison found nothing against the data. A rewind that was interrupted stays marked.</summary>
    public void Fits() => Remove(Diverged);

    /// <summary>Before a rewind touches the data.</summary>
    /// <exception cref="IOException">The mark cannot be written, so the rewind must not begin.</exception>
    public void BeginRewind()
    {
        if (File.Exists(Rewinding))
        {
            return;
        }
        if (Libc.mkfifo(Rewinding, OwnerOnly) != 0)
        {
            throw Libc.Failure($"making {Rewinding}", Marshal.GetLastPInvokeError());
        }
        DurableFile.FlushDirectory(dataDirectory);
    }

    /// <summary>The rewind failed before it touched anything: the data are as diverged as before.</summary>
    public void RewindNotBegun() => Remove(Rewinding);

    /// <summary>The rewind has ended well, or the data were replaced.</summary>
    public void Clear()
    {
        Remove(Diverged);
        Remove(Rewinding);
        Remove(Reinitialize);
    }

    private void Remove(string path)
    {
        if (File.Exists(path))
        {
            File.Delete(path);
            DurableFile.FlushDirectory(dataDirectory);
        }
    }
}
