using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cli.Rest;
using Routing.Cluster;
using Routing.Cluster.Text;

namespace Routing.Cli.Backups;

/// <summary>One backup, as a member tells of it.</summary>
internal sealed record RepositoryBackup(string Label, string Type, DateTimeOffset Stop, Lsn? StopLsn, uint Timeline);

/// <summary>What a member says of the repository (<c>GET /backup</c>).</summary>
internal sealed record RepositoryDocument
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(40);   // pgBackRest itself gets 30 s there

    /// <summary>The stanza; null: the member has no pgbackrest section.</summary>
    public string? Stanza { get; init; }

    /// <summary>Why the repository cannot be used; null: it can.</summary>
    public string? Problem { get; init; }

    /// <summary>The member's clock.</summary>
    public DateTimeOffset Time { get; init; }

    /// <summary>A last backup that is older is too old.</summary>
    public TimeSpan MaximumAge { get; init; }

    /// <summary>The backups, the oldest first.</summary>
    public required RepositoryBackup[] Backups { get; init; }

    /// <summary>The newest archived segment; null: none.</summary>
    public string? LastWal { get; init; }

    /// <summary>A segment that the member has archived and the repository lacks; null: none.</summary>
    public string? MissingWal { get; init; }

    /// <summary>Why the WAL in the repository cannot be looked through; null: it can.</summary>
    public string? WalProblem { get; init; }

    /// <summary>The archiver; null: the member's server does not answer.</summary>
    public JsonObject? Archiver { get; init; }

    /// <summary>Asks a member.</summary>
    /// <exception cref="NoAnswerException">It gives no answer, or does not know the question.</exception>
    public static async Task<RepositoryDocument> AskAsync(
        Session session, Member member, CancellationToken cancellationToken)
    {
        var answer = await session.Api.SendAsync(
            member, HttpMethod.Get, "/backup", jsonBody: null, s_patience, cancellationToken);
        try
        {
            if (answer.IsSuccess && JsonNode.Parse(answer.Text) is JsonObject json && json.ContainsKey("backups"))
            {
                return Read(json);
            }
        }
        catch (Exception unread) when (unread is JsonException or FormatException or InvalidOperationException)
        {
            // thrown below
        }
        throw new NoAnswerException(
            $"{member.Name} does not tell of backups (status {(int)answer.Status}): does it run routing-agent?");
    }

    private static RepositoryDocument Read(JsonObject json) => new()
    {
        Stanza = (string?)json["stanza"],
        Problem = (string?)json["problem"],
        Time = Moment(json["time"]),
        MaximumAge = TimeSpan.FromSeconds((long?)json["maximum_age"] ?? 0),
        Backups =
        [
            .. (json["backups"]?.AsArray() ?? []).Select(backup => new RepositoryBackup(
                (string?)backup?["label"] ?? "",
                (string?)backup?["type"] ?? "",
                Moment(backup?["stop"]),
                Lsn.TryParse((string?)backup?["stop_lsn"] ?? "", out var lsn) ? lsn : null,
                (uint)((long?)backup?["timeline"] ?? 0))),
        ],
        LastWal = (string?)json["last_wal"],
        MissingWal = (string?)json["missing_wal"],
        WalProblem = (string?)json["wal_problem"],
        Archiver = json["archiver"] as JsonObject,
    };

    private static DateTimeOffset Moment(JsonNode? node) =>
        IsoTime.TryParse((string?)node ?? "", out var time)
            ? time
            : throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"'{node}' is not a time."));
}
