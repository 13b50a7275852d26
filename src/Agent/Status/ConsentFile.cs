using System.Text.Json;
using Routing.Agent.Fence;
using Routing.Agent.Native;
using Routing.Dcs;

namespace Routing.Agent.Status;

/// <summary>
/// The consent that this member gave to a leader without the DCS, kept in the data directory: it binds the agent's next
/// life, too.
/// </summary>
/// <remarks>
/// Such a leader counts on the consent for one ttl, and its PostgreSQL goes on when its agent hangs, until the fence
/// ends it. A member that forgot what it said, because its agent was started anew meanwhile, could take the leader key
/// and make a second primary. The file is written through to the kernel, not to the disk: what a crash of the machine
/// takes away is made up for by counting every consent as given at the moment of the boot.
/// </remarks>
/// <param name="dataDirectory">
/// PostgreSQL's data directory; without one there is nothing to keep: a member without data takes no key.
/// </param>
/// <param name="time">The clock whose timestamps notices carry.</param>
internal sealed class ConsentFile(string dataDirectory, TimeProvider time)
{
    /// <summary>The file's name in the data directory.</summary>
    public const string FileName = "routing.consent.json";

    /// <summary>
    /// Not the name of earlier versions, which kept whatever time they were asked for: those consents count for one
    /// ttl.
    /// </summary>
    private const string BindsField = "ttl_s";

    private const string BootIdFile = "/proc/sys/kernel/random/boot_id";

    private string Path => System.IO.Path.Combine(dataDirectory, FileName);

    /// <summary>Keeps a consent that is about to be given. One at a time.</summary>
    /// <exception cref="IOException">It cannot be kept: it must not be given.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    public void Keep(FailsafeNotice notice)
    {
        if (!File.Exists(System.IO.Path.Combine(dataDirectory, "PG_VERSION")))
        {
            return;
        }
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            writer.WriteString("leader", notice.Name);
            writer.WriteString("conn_url", notice.ConnUrl);
            writer.WriteString("api_url", notice.ApiUrl);
            writer.WriteString("boot_id", BootId());
            writer.WriteNumber("boot_clock_ns", BootInstant.Now.Nanoseconds);
            if (notice.Binds is { } binds)
            {
                writer.WriteNumber(BindsField, binds.TotalSeconds);
            }
            writer.WriteEndObject();
        }
        WholeFile.Replace(Path, stream.ToArray());
    }

    /// <summary>What an earlier life consented to last. Its age decides whether it still binds.</summary>
    /// <remarks>
    /// Without a file of this boot, one that nobody knows of is taken to have been given at the boot.
    /// </remarks>
    public FailsafeNotice Recall()
    {
        // the files are read side by side, as each takes its time
        var (now, timestamp) = (BootInstant.Now, time.GetTimestamp());
        var boot = new BootInstant(0);
        try
        {
            if (File.Exists(Path)
                && JsonElement.Parse(File.ReadAllText(Path)) is { ValueKind: JsonValueKind.Object } kept
                && Text(kept, "boot_id") == BootId()
                && kept.TryGetProperty("boot_clock_ns", out var at) && at.TryGetInt64(out var nanoseconds)
                && nanoseconds <= now.Nanoseconds)
            {
                return new FailsafeNotice(
                    Text(kept, "leader"), Text(kept, "conn_url"), Text(kept, "api_url"), null,
                    timestamp - time.TimestampsIn(now - new BootInstant(nanoseconds)))
                {
                    Binds = FailsafeNotice.Seconds(kept, BindsField),
                };
            }
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException or JsonException
            or InvalidOperationException)
        {
            // Unreadable is like lost.
        }
        return new FailsafeNotice("a leader from before this machine's start", "", "", null,
            timestamp - time.TimestampsIn(now - boot));
    }

    private static string Text(JsonElement kept, string name) =>
        kept.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    private static string BootId() => File.ReadAllText(BootIdFile).Trim();
}
