using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Routing.Dcs;
using Routing.Hosting.Discovery;
using Xunit;

namespace Routing.Settings.Tests;

public sealed class SrvEndpoints_ask_name_servers
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_first_service_name_that_has_records_counts_and_says_whether_it_is_tls()
    {
        await using var names = new NameServer(new()
        {
            ["_etcd-client-blue._tcp.example.test"] = [new("clear.example.test", 2379, 0, 0)],
            ["_etcd-ssl-blue._tcp.example.test"] = [new("late.example.test", 2379, 0, 0)],
        });

        var found = await FindAsync(new SrvEndpoints("example.test", "blue") { Lookup = names.Lookup });

        Assert.Equal([new Uri("http://clear.example.test:2379")], found);
    }

    [Fact]
    public async Task A_lower_priority_comes_first()
    {
        await using var names = new NameServer(new()
        {
            ["_etcd-client._tcp.example.test"] =
                [new("b.example.test", 2380, 20, 1), new("a.example.test", 2379, 10, 5)],
        });

        var found = await FindAsync(new SrvEndpoints("example.test", null) { Lookup = names.Lookup });

        Assert.Equal([new Uri("http://a.example.test:2379"), new Uri("http://b.example.test:2380")], found);
    }

    [Fact]
    public async Task A_domain_without_records_is_named()
    {
        await using var names = new NameServer([]);

        var problem = await Assert.ThrowsAsync<ClusterStoreException>(
            () => FindAsync(new SrvEndpoints("example.test", null) { Lookup = names.Lookup }));

        Assert.Contains("example.test", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(13)]
    [InlineData(40)]
    public async Task An_answer_that_is_cut_short_is_a_problem_and_not_a_crash(int length)
    {
        await using var names = new NameServer(
            new() { ["_etcd._tcp.example.test"] = [new("a.example.test", 2379, 0, 0)] }) { CutsAt = length };

        await Assert.ThrowsAsync<ClusterStoreException>(() => names.Lookup.FindAsync("_etcd._tcp.example.test", Token));
    }

    [Fact]
    public void Targets_of_one_priority_are_drawn_by_their_weights()
    {
        SrvTarget[] targets = [new("light", 1, 0, 10), new("heavy", 1, 0, 30), new("none", 1, 0, 0)];
        var random = new Random(1);
        const int Draws = 20_000;

        var orders = Enumerable.Range(0, Draws).Select(_ => SrvOrder.Draw(targets, random)).ToList();

        Assert.All(orders, order => Assert.Equal(3, order.Distinct().Count()));
        var first = orders.CountBy(order => order[0].Host).ToDictionary();
        // 41 numbers from 0 to 40: 0 draws the one without weight, 10 and 30 of the others each of the rest.
        Assert.InRange(first["none"] / (double)Draws, 0.015, 0.035);
        Assert.InRange(first["light"] / (double)Draws, 0.22, 0.27);
        Assert.InRange(first["heavy"] / (double)Draws, 0.70, 0.76);
    }

    [Fact]
    public void Two_that_would_ask_the_same_are_equal()
    {
        Assert.Equal(new SrvEndpoints("d", "s"), new SrvEndpoints("d", "s"));
        Assert.NotEqual(new SrvEndpoints("d", "s"), new SrvEndpoints("d", null));
    }

    private static Task<IReadOnlyList<Uri>> FindAsync(SrvEndpoints endpoints) =>
        endpoints.FindAsync(TimeProvider.System, new Random(1), Token);

    /// <summary>A name server on loopback that knows some SRV records.</summary>
    private sealed class NameServer : IAsyncDisposable
    {
        private readonly UdpClient _socket = new(new IPEndPoint(IPAddress.Loopback, 0));
        private readonly Dictionary<string, SrvTarget[]> _records;
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _serving;

        public NameServer(Dictionary<string, SrvTarget[]> records)
        {
            _records = records;
            _serving = ServeAsync();
        }

        public int CutsAt { get; init; } = int.MaxValue;

        public SrvLookup Lookup => new([(IPEndPoint)_socket.Client.LocalEndPoint!], TimeProvider.System);

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _serving;
            _socket.Dispose();
            _stop.Dispose();
        }

        private async Task ServeAsync()
        {
            try
            {
                while (true)
                {
                    var question = await _socket.ReceiveAsync(_stop.Token);
                    var answer = Answer(question.Buffer);
                    await _socket.SendAsync(
                        answer.AsMemory(0, Math.Min(CutsAt, answer.Length)), question.RemoteEndPoint, _stop.Token);
                }
            }
            catch (OperationCanceledException)
            {
                // closed
            }
        }

        private byte[] Answer(byte[] question)
        {
            var labels = new List<string>();
            for (var at = 12; question[at] != 0; at += question[at] + 1)
            {
                labels.Add(Encoding.ASCII.GetString(question, at + 1, question[at]));
            }
            var found = _records.GetValueOrDefault(string.Join('.', labels), []);
            using var message = new MemoryStream();
            message.Write(question);
            foreach (var target in found)
            {
                byte[] host = [.. target.Host.Split('.')
                    .SelectMany(label => (byte[])[(byte)label.Length, .. Encoding.ASCII.GetBytes(label)]), 0];
                message.Write([0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 60]);   // the question's name, by a pointer
                Write(message, host.Length + 6, target.Priority, target.Weight, target.Port);
                message.Write(host);
            }
            var answer = message.ToArray();
            answer[2] |= 0x80;
            answer[3] = (byte)(found.Length == 0 ? 3 : 0);   // no such name
            BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(6), (ushort)found.Length);
            return answer;
        }

        private static void Write(MemoryStream message, params int[] numbers)
        {
            foreach (var number in numbers)
            {
                message.Write([(byte)(number >> 8), (byte)number]);
            }
        }
    }
}
