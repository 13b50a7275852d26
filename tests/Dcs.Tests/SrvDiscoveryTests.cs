using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

public sealed class SrvDiscoveryTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Targets_come_best_first()
    {
        await using var names = new NameServer(new()
        {
            ["_etcd-client._tcp.example.test"] = [new("b.example.test", 2380, 20, 1),
                new("a.example.test", 2379, 10, 5), new("c.example.test", 2379, 10, 9)],
        });

        var targets = await names.Lookup.FindAsync("_etcd-client._tcp.example.test", Token);

        Assert.Equal(["c.example.test", "a.example.test", "b.example.test"], targets.Select(target => target.Host));
        Assert.Equal([2379, 2379, 2380], targets.Select(target => target.Port));
    }

    [Fact]
    public async Task The_first_service_name_that_has_records_counts_and_says_whether_it_is_tls()
    {
        await using var names = new NameServer(new()
        {
            ["_etcd-client-blue._tcp.example.test"] = [new("clear.example.test", 2379, 0, 0)],
            ["_etcd-ssl-blue._tcp.example.test"] = [new("late.example.test", 2379, 0, 0)],
        });
        var options = new EtcdOptions { Endpoints = [], DiscoverySrv = "example.test", DiscoverySrvSuffix = "blue" };

        var found = await new EtcdAddresses(options, TimeProvider.System, () => names.Lookup).DiscoverAsync(Token);

        Assert.Equal([new Uri("http://clear.example.test:2379")], found);
    }

    [Fact]
    public async Task A_domain_without_records_is_named()
    {
        await using var names = new NameServer([]);
        var options = new EtcdOptions { Endpoints = [], DiscoverySrv = "example.test" };

        var problem = await Assert.ThrowsAsync<ClusterStoreException>(
            () => new EtcdAddresses(options, TimeProvider.System, () => names.Lookup).DiscoverAsync(Token));

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
    public async Task A_store_that_knows_only_a_domain_names_it_until_the_domain_answers()
    {
        var options = new EtcdOptions { Endpoints = [], DiscoverySrv = "example.test",
            OperationTimeout = TimeSpan.FromSeconds(1) };
        var addresses = new EtcdAddresses(options, TimeProvider.System, () => new SrvLookup([], TimeProvider.System));
        await using var store = new EtcdClusterStore(
            options, null, Stores.NewScope(), TimeProvider.System, NullLoggerFactory.Instance, addresses);

        var problem = await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());

        Assert.Contains("example.test", problem.Message, StringComparison.Ordinal);
        Assert.Equal("", store.Status.Endpoint);
    }

    [Fact]
    [Trait("Category", "Integration")]
    public async Task A_store_that_knows_only_a_domain_works_on_what_the_records_name()
    {
        await using var etcd = await EtcdServer.StartAsync();
        await using var names = new NameServer(new()
        {
            ["_etcd._tcp.example.test"] = [new("localhost", etcd.Endpoint.Port, 0, 0)],
        });
        var options = new EtcdOptions { Endpoints = [], DiscoverySrv = "example.test" };
        var addresses = new EtcdAddresses(options, TimeProvider.System, () => names.Lookup);
        await using var store = new EtcdClusterStore(
            options, null, Stores.NewScope(), TimeProvider.System, NullLoggerFactory.Instance, addresses);

        var written = await store.PutAsync("config", "{}", WriteCondition.Absent, 0, Token);

        Assert.True(written.IsDone, $"{written}");
        Assert.Equal($"http://localhost:{etcd.Endpoint.Port}", store.Status.Endpoint);
    }

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
