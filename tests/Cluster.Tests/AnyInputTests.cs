using System.Text;
using System.Text.Json;
using CsCheck;
using Routing.Cluster.Keys;
using Routing.Cluster.Overview;

namespace Routing.Cluster.Tests;

/// <summary>Whatever stands in the DCS, reading it ends with a snapshot.</summary>
public class AnyInputTests
{
    private static readonly string[] s_keys =
        [.. SnapshotReader.KnownKeys, "members/a", "members/b", "members/a/b", "members/", "routing/x", "other", ""];

    private static readonly string[] s_names =
    [
        "leader", "member", "scheduled_at", "sync_standby", "quorum", "optime", "slots", "retain_slots", "conn_url",
        "api_url", "state",
        "role", "version", "site", "current_site", "tags",
        "nofailover", "failover_priority", "timeline", "xlog_location",
        "pending_restart_reason", "old_value",
        "scheduled_restart", "schedule", "timeout", "routing", "fence", "ttl", "loop_wait", "retry_timeout",
        "synchronous_mode", "pause",
        "maximum_lag_on_failover", "member_slots_ttl", "master_start_timeout", "permanent_slots", "ignore_slots",
        "standby_cluster",
        "host", "port", "postgresql", "use_slots", "type", "database", "plugin", "cluster_type", "", "é",
    ];

    private static readonly Gen<string> s_scalar = Gen.OneOf(
        Gen.OneOf(
            "null", "true", "false", "0", "-1", "1e999", "1e400", "-0.5", "9223372036854775808", "99999999999999999999",
            "\"\"", "\"on\"",
            "\"quorum\"", "\"30min\"", "\"1e9\"", "\"5\"", "\"[]\"", "\"{}\"", "\"{\\\"a\\\":1}\"", "\"\\ud800\"",
            "\"\\udc00x\\ud800\\ud800\"",
            "\"\\\\\\ud800\"", "\"postgres://[::1]:5/d\"", "\"postgres://@:/\"", "\"0001-01-01T00:00:00+14:00\"",
            "\"9999-12-31T23:59:59-14:00\"",
            "\"logical\"", "\"\\u0000\""),
        Gen.Long.Select(number => $"{number}"),
        Gen.Double.Select(number => double.IsFinite(number) ? JsonSerializer.Serialize(number) : "1"),
        Gen.String.Select(text => JsonSerializer.Serialize(text)));

    private static readonly Gen<string> s_name = Gen.Frequency(
        (9, Gen.OneOf(s_names).Select(name => $"\"{name}\"")),
        (1, Gen.OneOf(Gen.String.Select(name => JsonSerializer.Serialize(name)), Gen.Const("\"\\ud800\""))));

    private static readonly Gen<string> s_json = Gen.Recursive<string>((depth, inner) => depth > 4
        ? s_scalar
        : Gen.Frequency(
            (4, s_scalar),
            (2, inner.Array[0, 4].Select(items => $"[{string.Join(',', items)}]")),
            (6, Gen.Select(s_name, inner, (name, value) => $"{name}:{value}").Array[0, 6].Select(
                fields => $"{{{string.Join(',', fields)}}}"))));

    private static readonly Gen<string> s_object = Gen.Select(s_name, s_json, (name, value) => $"{name}:{value}")
        .Array[0, 6].Select(fields => $"{{{string.Join(',', fields)}}}");

    private static readonly Gen<string> s_bytes = Gen.Byte.Array[0, 40].Select(bytes => Encoding.UTF8.GetString(bytes));

    private static readonly Gen<string> s_value = Gen.Frequency(
        (6, s_json),
        (1, s_bytes),
        (1, Gen.String),
        (1, Gen.Select(s_json, Gen.Int[0, 30], (json, cut) => json[..Math.Min(cut, json.Length)])),
        (1, Gen.String.Select(text => "postgres" + text)),
        (1, Gen.Const("\ud800")));

    [Fact]
    public void No_value_of_any_key_makes_the_reader_throw_and_what_it_read_can_be_written()
    {
        Gen.Select(Gen.OneOf(s_keys), s_value).Array[1, 4].Sample(
            keys =>
            {
                var snapshot = ClusterSnapshot.Empty;
                foreach (var (key, value) in keys)
                {
                    snapshot = SnapshotReader.Apply(snapshot, snapshot.Revision + 1, Keys.Raw(key, value));
                }
                WriteAll(snapshot);
                foreach (var (key, _) in keys)
                {
                    snapshot = SnapshotReader.Remove(snapshot, snapshot.Revision + 1, key);
                }
                return snapshot.Problems.IsEmpty && snapshot.Members.IsEmpty && snapshot.Leader is null
                    && snapshot.Config is null;
            },
            iter: 4_000);
    }

    [Fact]
    public void No_configuration_makes_its_reader_throw()
    {
        s_json.Sample(
            json =>
            {
                var config = DynamicConfigReader.Read(JsonElement.Parse(json), 1);
                _ = config.Timing.Corrected(Timing.CommonMinimum);
                _ = KeyWriter.Config(config.Raw);
            },
            iter: 4_000);
    }

    [Fact]
    public void Bytes_that_are_not_unicode_inside_of_a_configuration_do_not_make_it_throw()
    {
        Gen.Byte[0x80, 0xFF].Array[1, 6].Sample(
            bytes =>
            {
                byte[] json = [.. "{\"ttl\":\""u8, .. bytes, .. "\",\"loop_wait\":7}"u8];
                using var document = JsonDocument.Parse(json);
                var config = DynamicConfigReader.Read(document.RootElement, 1);
                return config.Timing.LoopWait.TotalSeconds == 7 && config.Problems.Length == 1;
            },
            iter: 2_000);
    }

    [Fact]
    public void A_patch_gives_what_it_asks_for_and_a_second_one_changes_nothing()
    {
        Gen.Select(s_object, s_object).Sample(
            (config, patch) =>
            {
                var before = JsonElement.Parse(config);
                var change = JsonElement.Parse(patch);
                var after = KeyWriter.PatchConfig(before, change);
                return after is null || KeyWriter.PatchConfig(JsonElement.Parse(after), change) is null;
            },
            iter: 4_000);
    }

    [Fact]
    public void What_was_written_reads_the_same_again()
    {
        s_object.Sample(
            json =>
            {
                var once = KeyWriter.Member(Keys.Read(("members/a", json)).Members["a"]);
                var again = Keys.Read(("members/a", once));
                return KeyWriter.Member(again.Members["a"]) == once;
            },
            iter: 4_000);
    }

    private static void WriteAll(ClusterSnapshot snapshot)
    {
        foreach (var member in snapshot.Members.Values)
        {
            _ = JsonElement.Parse(KeyWriter.Member(member));
            _ = (member.Tags.FailoverPriority, member.Tags.SyncPriority, member.Tags.ReplicateFrom, member.SlotName);
        }
        _ = JsonElement.Parse(KeyWriter.Sync(snapshot.Sync.Leader, snapshot.Sync.Standbys, snapshot.Sync.Quorum));
        _ = JsonElement.Parse(KeyWriter.Status(snapshot.Status));
        _ = JsonElement.Parse(KeyWriter.History(snapshot.History ?? new TimelineHistory([])));
        if (snapshot.Failsafe is { } failsafe)
        {
            _ = JsonElement.Parse(KeyWriter.Failsafe(failsafe));
        }
        _ = JsonElement.Parse(KeyWriter.Failover(
            snapshot.Failover?.Leader, snapshot.Failover?.Candidate, snapshot.Failover?.ScheduledAt));
        _ = JsonElement.Parse(ClusterOverviewJson.Write(ClusterOverview.From(snapshot), "shop"));
    }
}
