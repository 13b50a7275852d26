using System.Collections;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Routing.Cluster.HostChoice;
using Routing.Proxy.Configuration;
using Routing.Proxy.Metrics;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions.Joined;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>Limits, deadlines and counts that several threads use at a time.</summary>
public sealed class CountingTests
{
    /// <summary>One deadline was set anew while another one was told that it has passed.</summary>
    [Fact]
    public void Who_got_more_time_a_moment_ago_keeps_it()
    {
        var time = new FakeTimeProvider();
        using var deadlines = new Deadlines(time);
        var (first, second) = (new Item { Deadline = 0 }, new Item { Deadline = 0 });
        first.Expired = () => second.Deadline = long.MaxValue - 1;
        deadlines.Add(first);
        deadlines.Add(second);

        time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal((1, 0), (first.Times, second.Times));
        Assert.Equal(long.MaxValue - 1, second.Deadline);
        second.Deadline = 0;
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal((1, 1), (first.Times, second.Times));
    }

    [Fact]
    public async Task A_place_is_never_taken_by_one_who_is_refused_for_another_limit()
    {
        const int Rounds = 50_000;
        var limits = new SessionLimits();
        var settings = new SessionSettings { MaximumSessions = 1 };
        var (free, full) = (Listener("free", 1), Listener("full", 1));
        full.Counter.Add(1);
        using var stop = new CancellationTokenSource();
        var refused = Task.Run(
            () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    Assert.NotNull(limits.TryTake(settings, full, "app", out _));
                }
            },
            TestContext.Current.CancellationToken);

        for (var round = 0; round < Rounds; round++)
        {
            Assert.Null(limits.TryTake(settings, free, "app", out var place));
            limits.Release(place);
        }
        await stop.CancelAsync();
        await refused;
    }

    [Fact]
    public async Task Two_scrapes_at_a_time_tell_both_how_many_sessions_there_are()
    {
        using var metrics = new ProxyMetrics();
        using var router = new Router([], TimeProvider.System, new Random(1), NullLogger.Instance);
        var group = new SessionGroup("write", "a", Open: 3, BytesFromClient: 0, BytesFromServer: 0);
        var other = group with { Member = "b" };
        await ScrapeAsync([group, other]);
        var isFirstOver = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var isSecondBegun = new ManualResetEventSlim();
        Task<string>? second = null;

        var first = await ScrapeAsync(new CountedList([group, other]) { BeforeLast = () =>
        {
            second = Task.Run(() => ScrapeAsync(new CountedList([group, other]) { BeforeFirst = () =>
            {
                isSecondBegun.Set();
                isFirstOver.Task.Wait(TestContext.Current.CancellationToken);
            } }));
            isSecondBegun.Wait(TimeSpan.FromMilliseconds(200), TestContext.Current.CancellationToken);
        } });
        isFirstOver.SetResult();

        Assert.All([first, await second!], static text => Assert.Contains(
            "routing_proxy_sessions{listener=\"write\",member=\"a\"} 3", text, StringComparison.Ordinal));

        async Task<string> ScrapeAsync(IReadOnlyList<SessionGroup> sessions)
        {
            using var stream = new MemoryStream();
            await metrics.WriteAsync(
                stream, new SessionCounts(0, 0, sessions, new NotMovedCounts()), router, null, isRegistered: true,
                TestContext.Current.CancellationToken);
            return Encoding.UTF8.GetString(stream.ToArray());
        }
    }

    private static ListenerModel Listener(string name, int most) => ListenerModel.Create(
        new ListenerConfig
        {
            Name = name, Address = ListenAddress.Unknown, Request = new HostRequest { Role = WantedRole.Primary },
            MaximumSessions = most,
        },
        null);

    private sealed class Item : Expiring
    {
        public Action? Expired { get; set; }

        public int Times { get; private set; }

        internal override void Expire()
        {
            Times++;
            Expired?.Invoke();
        }
    }

    /// <summary>Sessions, with something that happens while they are counted.</summary>
    private sealed class CountedList(SessionGroup[] groups) : IReadOnlyList<SessionGroup>
    {
        public Action? BeforeFirst { get; init; }

        public Action? BeforeLast { get; init; }

        public int Count => groups.Length;

        public SessionGroup this[int index] => groups[index];

        public IEnumerator<SessionGroup> GetEnumerator()
        {
            BeforeFirst?.Invoke();
            for (var at = 0; at < groups.Length; at++)
            {
                if (at == groups.Length - 1)
                {
                    BeforeLast?.Invoke();
                }
                yield return groups[at];
            }
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
