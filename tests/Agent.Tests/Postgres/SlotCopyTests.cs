using System.Collections.Immutable;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Files;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Slots;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>Logical slots are copied to a standby, moved there, and asked about.</summary>
[Trait("Category", "Integration")]
public sealed class SlotCopyTests
{
    private const string Logical = """{"postgresql":{"parameters":{"wal_level":"logical"}}}""";

    private static readonly PermanentSlot s_decoding = new(true, "postgres", "test_decoding", null);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_standby_gets_the_slot_follows_it_and_serves_it_after_a_promotion()
    {
        var config = TestNode.Config(Logical);
        await using var primary = await TestNode.PrimaryAsync("a", config);
        await using var standby = await primary.StandbyAsync("b", config);
        standby.Server.NeedFeedback(true);
        await standby.Server.ApplyConfigurationAsync(config, force: true, Cancellation);
        await primary.ExecuteAsync("CREATE TABLE t (x int)");
        await primary.ExecuteAsync("SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')");
        EveryDamageIsFound(await File.ReadAllBytesAsync(
            Path.Combine(primary.Data, "pg_replslot", "cdc", "state"), Cancellation));

        var refused = await RefusedAsync(primary, standby);
        var copied = await CopyAsync(primary, standby, "cdc", s_decoding);
        Assert.True(copied.Ok, copied.Detail);
        Assert.Equal(
            [
                "missing: a has no such logical slot",
                "cdc: the leader's slot is one of database postgres and plugin test_decoding, configured are postgres "
                    + "and pgoutput",
                "b: a has no such logical slot",
                "cdc: b has no such logical slot",
            ],
            refused);
        var here = (await standby.UntilAsync(seen => seen.IsStreaming)).Slots.Single(slot => slot.Name == "cdc");
        Assert.Equal((true, "postgres", "test_decoding"), (here.IsLogical, here.Database, here.Plugin));

        // A standby has slots to copy as well, where it leads a standby cluster; its own ones are as good as any.
        var own = await CopyAsync(standby, standby, "cdc", s_decoding, upstream: primary);
        Assert.True(own.Ok, own.Detail);
        Assert.Equal(here.ConfirmedFlushLsn, (await standby.UntilAsync(seen => seen.IsStreaming))
            .Slots.Single(slot => slot.IsLogical).ConfirmedFlushLsn);

        await primary.ExecuteAsync("INSERT INTO t VALUES (1)");
        Assert.Equal("1", await SeenAsync(primary, "get"));
        var confirmed = Lsn.Parse(await primary.ValueAsync(
            "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = 'cdc'"));
        await standby.UntilAsync(seen => seen.ReplayedLsn >= confirmed);
        var work = await standby.Server.WorkOnLogicalSlotsAsync(new LogicalSlotJob(
            [
                new SlotAction.Advance("cdc", "postgres", confirmed, ""),
                new SlotAction.Advance("cdc", "nowhere", confirmed, ""),
                new SlotAction.CreateLogical("odd", "postgres", "no_such_plugin", ""),
            ],
            null), Cancellation);
        Assert.Equal(confirmed, (await standby.ObserveAsync()).Slots.Single(slot => slot.IsLogical).ConfirmedFlushLsn);
        Assert.Empty(work.Broken);
        // Why no slot can be made here is said in the words of the server's version.
        Assert.Collection(work.Problems.Order(StringComparer.Ordinal),
            problem => Assert.Equal("cdc in database nowhere: database \"nowhere\" does not exist", problem),
            problem => Assert.StartsWith("odd: ", problem, StringComparison.Ordinal));

        await BecomesSafeAsync(primary, standby);

        await primary.ExecuteAsync("INSERT INTO t VALUES (2)");
        var end = (await primary.ObserveAsync()).WalPosition;
        await standby.UntilAsync(seen => seen.ReplayedLsn >= end);
        await primary.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Assert.True((await standby.Server.PromoteAsync(1, TimeSpan.FromSeconds(30), Cancellation)).Ok);
        await standby.ExecuteAsync("INSERT INTO t VALUES (3)");
        Assert.Equal("2 3", await SeenAsync(standby, "peek"));
    }

    [Fact]
    public void A_slot_is_written_whole_and_its_WAL_is_looked_for_on_every_timeline()
    {
        using var data = new TempDirectory("slots");
        Directory.CreateDirectory(data["pg_replslot/cdc.tmp"]);
        Directory.CreateDirectory(data["pg_replslot/cdc/left"]);
        Directory.CreateDirectory(data["pg_wal"]);
        File.WriteAllText(data["pg_wal/0000000700000001000000A0"], "");
        File.WriteAllText(data["pg_wal/0000000700000001000000A1.partial"], "");
        var directory = new SlotDirectory(data.Path);

        directory.Write("cdc", [1, 2, 3]);

        Assert.Equal([data["pg_replslot/cdc"]], Directory.GetFileSystemEntries(data["pg_replslot"]));
        Assert.Equal([data["pg_replslot/cdc/state"]], Directory.GetFileSystemEntries(data["pg_replslot/cdc"]));
        Assert.Equal([1, 2, 3], File.ReadAllBytes(data["pg_replslot/cdc/state"]));
        Assert.True(directory.HasWal(new Lsn(0x1_A000_0010), 16 << 20));
        Assert.False(directory.HasWal(new Lsn(0x1_A100_0010), 16 << 20));
        directory.Remove("cdc");
        directory.Remove("cdc");
        Assert.Empty(Directory.GetFileSystemEntries(data["pg_replslot"]));
    }

    /// <summary>What can't be copied is named, and nothing restarts for it.</summary>
    private static async Task<List<string>> RefusedAsync(TestNode primary, TestNode standby)
    {
        var before = (await standby.ObserveAsync()).PostmasterStart;
        var answers = new List<StepResult>
        {
            await CopyAsync(primary, standby, "missing", s_decoding),
            await CopyAsync(primary, standby, "cdc", s_decoding with { Plugin = "pgoutput" }),
            await CopyAsync(primary, standby, "b", s_decoding),
            await CopyAsync(standby, standby, "cdc", s_decoding),
        };
        Assert.All(answers, answer => Assert.False(answer.Ok, answer.Detail));
        Assert.Equal(before, (await standby.ObserveAsync()).PostmasterStart);
        return [.. answers.Select(answer => answer.Detail)];
    }

    private static async Task BecomesSafeAsync(TestNode primary, TestNode standby)
    {
        var question = new LeaderSlotQuestion(
            new SlotGround("a", new Term(1), null), primary.Address, "b", ["cdc", "missing"]);
        LeaderSlotAnswer? answer = null;
        await WaitUntil.TrueAsync(
            async () => (answer = (await standby.Server.WorkOnLogicalSlotsAsync(
                new LogicalSlotJob([], question), Cancellation)).Answer) is { PhysicalCatalogXmin: not null },
            TimeSpan.FromSeconds(60), "the feedback of the standby reaches the primary");
        var gone = await standby.Server.WorkOnLogicalSlotsAsync(
            new LogicalSlotJob([], question with { PhysicalSlot = "nothing" }), Cancellation);

        Assert.True(answer!.HasPhysicalSlot);
        Assert.Equal(["cdc"], answer.CatalogXmins.Keys);
        Assert.Equal(["cdc"], answer.Confirmed.Keys);
        // A standby tells nothing: its slots are copies.
        Assert.Null((await standby.Server.WorkOnLogicalSlotsAsync(
            new LogicalSlotJob([], question with { Address = standby.Address }), Cancellation)).Answer);
        Assert.False(gone.Answer!.HasPhysicalSlot);
        Assert.Contains("has no slot nothing", Assert.Single(gone.Problems), StringComparison.Ordinal);
    }

    private static void EveryDamageIsFound(byte[] file)
    {
        var state = SlotState.Parse(file);
        Assert.Equal(("cdc", true), (state.Name, state.IsPersistent));
        Assert.True(state.Database > 0 && state.RestartLsn > Lsn.Zero && state.CatalogXmin > 0);
        for (var at = 0; at < file.Length; at++)
        {
            var damaged = file.ToArray();
            damaged[at] ^= 0x10;
            Assert.Throws<InvalidDataException>(() => SlotState.Parse(damaged));
            Assert.Throws<InvalidDataException>(() => SlotState.Parse(file.AsSpan(0, at)));
        }
        Assert.Throws<InvalidDataException>(() => SlotState.Parse([.. file, 0]));
    }

    private static Task<StepResult> CopyAsync(
        TestNode from, TestNode to, string name, PermanentSlot slot, TestNode? upstream = null) =>
        to.Server.CopySlotsAsync(
            new SlotCopyPlan(
                from.Member, ImmutableSortedDictionary<string, PermanentSlot>.Empty.Add(name, slot),
                new Upstream((upstream ?? from).Address, to.Name)) { SourceIsStandby = upstream is not null },
            to.Progress, Cancellation);

    private static Task<string?> SeenAsync(TestNode node, string verb) => node.ValueAsync(
        $"""
        SELECT string_agg(substring(data FROM 'x\[integer\]:(\d+)'), ' ' ORDER BY lsn)
          FROM pg_logical_slot_{verb}_changes('cdc', NULL, NULL) WHERE data LIKE 'table%'
        """);
}
