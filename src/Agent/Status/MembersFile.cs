using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Status;

/// <summary>
/// The members that this one has seen, kept in the data directory: the agent's next life asks the same ones before it
/// races.
/// </summary>
/// <remarks>
/// Without it an agent that is started anew in a pause would know nothing of a primary whose keys have ended. A copy of
/// the data directory (a backup, another member) has another identity and says nothing. It is written beside the loop,
/// which never waits for a disk.
/// </remarks>
/// <param name="dataDirectory">PostgreSQL's data directory; without data there is nothing to keep.</param>
/// <param name="scope">The cluster's name.</param>
/// <param name="logger">The log.</param>
internal sealed partial class MembersFile(string dataDirectory, string scope, ILogger logger)
{
    /// <summary>The file's name in the data directory.</summary>
    public const string FileName = "routing.members.json";

    private readonly Lock _lock = new();
    private KnownMembers? _kept;
    private KnownMembers? _next;
    private string _written = "";
    private int _fillings;
    private string _problem = "";
    private Task _writing = Task.CompletedTask;

    private string Path => System.IO.Path.Combine(dataDirectory, FileName);

    /// <summary>Keeps what is known now, soon.</summary>
    /// <param name="members">What is known.</param>
    /// <param name="anew">The data directory was filled by something else meanwhile.</param>
    public void Keep(KnownMembers members, bool anew)
    {
        lock (_lock)
        {
            if (anew)
            {
                (_kept, _written) = (null, "");
                _fillings++;
            }
            if (members == _kept)
            {
                return;
            }
            (_kept, _next) = (members, members);
            if (_writing.IsCompleted)
            {
                _writing = Task.Run(WriteAll);
            }
        }
    }

    /// <summary>The end of the writes that were begun.</summary>
    public Task Written
    {
        get
        {
            lock (_lock)
            {
                return _writing;
            }
        }
    }

    /// <summary>
    /// What an earlier life knew; nothing when there is no such file, or it belongs to another directory or cluster.
    /// </summary>
    public KnownMembers Recall()
    {
        try
        {
            return File.Exists(Path) ? Read(JsonElement.Parse(File.ReadAllText(Path))) : KnownMembers.None;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException or JsonException
            or InvalidOperationException
            or KeyNotFoundException)
        {
            LogNotRead(Path, problem.Message);
            return KnownMembers.None;
        }
    }

    private void WriteAll()
    {
        while (true)
        {
            KnownMembers? members;
            lock (_lock)
            {
                (members, _next) = (_next, null);
                if (members is null)
                {
                    _writing = Task.CompletedTask;
                    return;
                }
            }
            try
            {
                Write(members);
                _problem = "";
            }
            catch (Exception problem)
            {
                lock (_lock)
                {
                    _kept = null;   // again with the next run
                }
                if (problem.Message != _problem)
                {
                    LogNotKept(_problem = problem.Message);
                }
            }
        }
    }

    private void Write(KnownMembers members)
    {
        if (!File.Exists(System.IO.Path.Combine(dataDirectory, "PG_VERSION")))
        {
            lock (_lock)
            {
                _kept = null;   // again when there are data
            }
            return;
        }
        var text = Text(members);
        int filling;
        lock (_lock)
        {
            if (text == _written)
            {
                return;
            }
            filling = _fillings;
        }
        WholeFile.Replace(Path, text);
        lock (_lock)
        {
            if (filling == _fillings)   // else the directory may have been emptied meanwhile
            {
                _written = text;
            }
        }
    }

    private string Text(KnownMembers members)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("directory", Identity());
            json.WriteString("scope", scope);
            json.WriteString("leader", members.Leader);
            json.WriteBoolean("paused", members.Paused);
            if (members.Remote is { } remote)
            {
                Write(json, remote);
            }
            json.WriteStartArray("members");
            foreach (var member in members.Present.Values.Where(
                m => m.ApiUrl is not null && !members.Departed.ContainsKey(m.Name)))
            {
                Write(json, member, null);
            }
            foreach (var departed in members.Departed.Values)
            {
                Write(json, departed.Member, departed);
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static void Write(Utf8JsonWriter json, Member member, DepartedMember? departed)
    {
        json.WriteStartObject();
        json.WriteString("name", member.Name);
        json.WriteString("api_url", member.ApiUrl);
        json.WriteString("role", member.Role.ToWire());
        if (member.Routing is { } routing)
        {
            json.WriteBoolean("fence", routing.Fence);
        }
        if (departed is not null)
        {
            json.WriteBoolean("led", departed.Led);
            json.WriteBoolean("in_pause", departed.InPause);
        }
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, Upstream remote)
    {
        json.WriteString("remote_slot", remote.SlotName);
        json.WriteStartArray("remote");
        foreach (var address in remote.Addresses)
        {
            json.WriteStartObject();
            json.WriteString("host", address.Host);
            json.WriteNumber("port", address.Port);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static Upstream? Remote(JsonElement kept)
    {
        if (!kept.TryGetProperty("remote", out var list))
        {
            return null;
        }
        var addresses = list.EnumerateArray()
            .Select(item => new HostPort(String(item, "host") ?? "", item.GetProperty("port").GetInt32())).ToList();
        return addresses is [var first, .. var others]
            ? new Upstream(first, String(kept, "remote_slot")) { Others = [.. others] }
            : null;
    }

    /// <summary>Device and inode of the data directory, which a copy of it does not have.</summary>
    private string? Identity() => FileIdentity.Of(dataDirectory) is { } own
        ? string.Create(CultureInfo.InvariantCulture, $"{own.Device}:{own.Inode}")
        : null;

    private KnownMembers Read(JsonElement kept)
    {
        if (String(kept, "scope") != scope || String(kept, "directory") is not { } directory || directory != Identity())
        {
            return KnownMembers.None;
        }
        var (present, departed) = (KnownMembers.None.Present, KnownMembers.None.Departed);
        foreach (var item in kept.GetProperty("members").EnumerateArray())
        {
            var member = new Member
            {
                Name = String(item, "name") ?? "",
                ApiUrl = String(item, "api_url"),
                Role = WireNames.ParseRole(String(item, "role")),
                Routing =
                    item.TryGetProperty("fence", out var fence) ? new RoutingExtension("", fence.GetBoolean()) : null,
            };
            if (item.TryGetProperty("led", out var led))
            {
                var inPause = item.GetProperty("in_pause").GetBoolean();
                departed = departed.SetItem(
                    member.Name, new DepartedMember(member, TimeSpan.Zero, led.GetBoolean(), inPause));
            }
            else
            {
                present = present.SetItem(member.Name, member);
            }
        }
        return new KnownMembers
        {
            Present = present, Departed = departed, Leader = String(kept, "leader"),
            Paused = kept.GetProperty("paused").GetBoolean(), Remote = Remote(kept),
        };
    }

    private static string? String(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    [LoggerMessage(EventId = 1623, Level = LogLevel.Warning,
        Message = "The list of members cannot be written to the data directory; an agent that starts again would not "
            + "ask them: {Problem}")]
    private partial void LogNotKept(string problem);

    [LoggerMessage(EventId = 1624, Level = LogLevel.Warning,
        Message = "The list of members in {File} cannot be read, so members without a key in the DCS are not asked: "
            + "{Problem}")]
    private partial void LogNotRead(string file, string problem);
}
