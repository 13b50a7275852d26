using System.Globalization;
using System.Text;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>
/// Clients that send in pieces of any size, while leaders hand over, call it off, or are demoted at any moment. Of what
/// a client was told is done, everything was done once; of the rest, nothing twice.
/// </summary>
/// <remarks>
/// <c>ROUTING_TEST_FULL=1</c>: thousands of rounds; <c>ROUTING_TEST_SEED</c> repeats those of one seed. A failure names
/// its seed.
/// </remarks>
public sealed class MoveFuzzTests
{
    private const int Clients = 6;
    private static readonly TimeSpan s_long = TimeSpan.FromMinutes(5);

    private static readonly int s_rounds =
        Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 } ? 1_000 : 25;

    public static TheoryData<string> Transports => ["io_uring", "epoll", "portable"];

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Planned_switchovers_at_any_moment_lose_nothing_and_nobody_sees_one(string transport) =>
        await RunAsync(transport, crashes: false);

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Servers_that_end_at_any_moment_do_nothing_twice(string transport) =>
        await RunAsync(transport, crashes: true);

    private static async Task RunAsync(string transport, bool crashes)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("ROUTING_TEST_SEED"), CultureInfo.InvariantCulture,
            out var given) ? given : Random.Shared.Next();
        await using var cluster = new Cluster(transport);
        using var over = new CancellationTokenSource();
        var clients = Enumerable.Range(0, Clients)
            .Select(at => new Client(cluster, at, new Random(unchecked(seed + at + 1)), crashes).RunAsync(over.Token))
            .ToList();
        try
        {
            var random = new Random(seed);
            for (var round = 0; round < s_rounds && !clients.Any(one => one.IsFaulted); round++)
            {
                // Between two changes clients get something done, or none would be in the middle of anything.
                var wanted = cluster.Done + random.Next(1, 12);
                await WaitUntil.TrueAsync(
                    () => cluster.Done >= wanted || clients.Any(one => one.IsFaulted), TimeSpan.FromMinutes(1));
                await cluster.ChangeAsync(round, random, crashes);
            }
            await over.CancelAsync();
            await Task.WhenAll(clients);
            var done = cluster.Scribes.SelectMany(one => one.Done).ToLookup(text => text);
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"seed {seed}: {s_rounds} rounds, {done.Count} statements, "
                    + string.Join(", ", cluster.Rig.Diary.CountBy(entry => entry).OrderBy(one => one.Key)));
            Assert.Contains(cluster.Rig.Diary, entry => entry.StartsWith("moved", StringComparison.Ordinal));
            Assert.DoesNotContain(done, one => one.Count() > 1);
            Assert.DoesNotContain(clients.SelectMany(one => one.Result), text => !done.Contains(text));
        }
        catch (Exception failure)
        {
            var last = string.Join(", ", cluster.Rig.Diary.TakeLast(30));
            throw new InvalidOperationException($"With the seed {seed}: {failure.Message}; last: {last}", failure);
        }
    }

    /// <summary>Two members, of which one leads.</summary>
    private sealed class Cluster : IAsyncDisposable
    {
        private readonly PretendServer[] _servers;
        private int _leader;

        public Cluster(string transport)
        {
            _servers = [.. Scribes.Select(one => new PretendServer { Talk = one.TalkAsync })];
            Rig = new Rig(transport, change: one =>
                one with { Move = MoveMode.AssumeClean, Replay = ReplayMode.FirstStatement });
            Lead(0);
        }

        public Rig Rig { get; }

        public Scribe[] Scribes { get; } = [new(), new()];

        public int Done => Scribes.Sum(one => one.Done.Count);

        private static string NameOf(int member) => member == 0 ? "a" : "b";

        /// <summary>The leader hands over, or does not in the end, or is lost.</summary>
        public async Task ChangeAsync(int round, Random random, bool crashes)
        {
            await LingerAsync(random);
            if (crashes)
            {
                await FailOverAsync(random);
                return;
            }
            Rig.Intend(round.ToString(CultureInfo.InvariantCulture), s_long).Publish();
            if (random.Next(3) == 0)
            {
                await LingerAsync(random);   // called off while sessions come to rest, or when they are held
                Rig.Intend(null).Publish();
                return;
            }
            await WaitUntil.TrueAsync(() => Rig.Server.RestlessAt(NameOf(_leader)) == 0, TimeSpan.FromMinutes(1));
            await LingerAsync(random);
            Rig.Intend(null);
            Lead(1 - _leader);
        }

        public async ValueTask DisposeAsync()
        {
            await Rig.DisposeAsync();
            foreach (var server in _servers)
            {
                server.Dispose();
            }
        }

        private async Task FailOverAsync(Random random)
        {
            var (old, scribe) = (_servers[_leader], Scribes[_leader]);
            if (random.Next(2) == 0)
            {
                // A standby by its own word, before anybody else knows.
                (scribe.RefuseWith, old.InRecovery) = ("25006", true);
                await LingerAsync(random);
            }
            if (random.Next(2) == 0)
            {
                old.RefuseWith = "57P03";
                await old.SayAsync(BackendMessage.Error(random.Next(2) == 0 ? "57P01" : "57P02"), ends: true);
                await LingerAsync(random);
            }
            if (random.Next(3) == 0)
            {
                Rig.Lead(null).Publish();
                await LingerAsync(random);
            }
            Lead(1 - _leader);
        }

        private void Lead(int member)
        {
            var (scribe, server) = (Scribes[member], _servers[member]);
            (scribe.RefuseWith, server.RefuseWith, server.InRecovery) = (null, null, false);
            Rig.With(NameOf(1 - member), _servers[1 - member], Role.Replica)
                .With(NameOf(member), server, Role.Primary).Lead(NameOf(member)).Publish();
            _leader = member;
        }
    }

    /// <summary>Runs statements until it is told to end.</summary>
    private sealed class Client(Cluster cluster, int number, Random random, bool mayFail)
    {
        private readonly List<string> _told = [];
        private int _count;

        /// <returns>The statements that it was told are done.</returns>
        public async Task<IReadOnlyList<string>> RunAsync(CancellationToken over)
        {
            while (!over.IsCancellationRequested)
            {
                using var client = new RawClient(cluster.Rig.WritePort);
                if (await client.LoginAsync() is { } refused)
                {
                    Assert.True(mayFail, refused);
                    continue;
                }
                while (!over.IsCancellationRequested && await TransactAsync(client))
                {
                    await LingerAsync(random);
                }
            }
            return _told;
        }

        // False: the session is over.
        private async Task<bool> TransactAsync(RawClient client)
        {
            var texts = Enumerable.Range(0, random.Next(1, 4)).Select(_ => $"insert {number}/{++_count}").ToList();
            var inTransaction = random.Next(2) == 0;
            string[] all = inTransaction ? ["BEGIN", .. texts, "COMMIT"] : [.. texts];
            var inOnePiece = random.Next(3) == 0;
            var failed = false;
            for (var at = 0; at < all.Length && !failed;)
            {
                var asked = inOnePiece ? all : [all[at]];
                await SendAsync(client, [.. asked.SelectMany(Message)]);
                foreach (var text in asked)
                {
                    var end = await client.UntilReadyAsync();
                    if (end is null && !inTransaction)
                    {
                        _told.Add(text);
                    }
                    if (end is not null)
                    {
                        Assert.True(mayFail, $"{text}: {end}");
                        if (end is not ("25006" or "25P02"))
                        {
                            return false;
                        }
                        if (await client.UntilReadyAsync() is not null)
                        {
                            return false;   // its server has ended by now
                        }
                        failed = true;
                    }
                }
                at += asked.Length;
            }
            if (!failed && inTransaction)
            {
                _told.AddRange(texts);
            }
            else if (failed && inTransaction && !inOnePiece)
            {
                await client.QueryAsync("ROLLBACK");
                return await client.UntilReadyAsync() is null;
            }
            return true;
        }

        private async Task SendAsync(RawClient client, byte[] bytes)
        {
            for (var at = 0; at < bytes.Length;)
            {
                var end = random.Next(2) == 0 ? bytes.Length : random.Next(at + 1, bytes.Length + 1);
                try
                {
                    await client.SendAsync(bytes[at..end]);
                }
                catch (IOException) when (mayFail)
                {
                    return;   // what it has said before its end is read
                }
                at = end;
                if (at < bytes.Length)
                {
                    await LingerAsync(random);
                }
            }
        }

        private byte[] Message(string text) => random.Next(2) == 0
            ? BackendMessage.Of('Q', Encoding.UTF8.GetBytes(text + "\0"))
            :
            [
                .. BackendMessage.Of('P', [0, .. Encoding.UTF8.GetBytes(text), 0, 0, 0]),
                .. BackendMessage.Of('B', new byte[8]), .. BackendMessage.Of('D', (byte)'P', 0),
                .. BackendMessage.Of('E', new byte[5]), .. BackendMessage.Of('S'),
            ];
    }

    private static async Task LingerAsync(Random random)
    {
        switch (random.Next(4))
        {
            case 0:
                break;
            case 1:
                await Task.Delay(random.Next(1, 4), TestContext.Current.CancellationToken);
                break;
            default:
                await Task.Yield();
                break;
        }
    }
}
