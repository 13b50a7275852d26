using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Routing.Cluster.Events;
using Routing.TestKit;

namespace Routing.Agent.Tests.Rest;

/// <summary><c>GET /events</c> as a stream of server-sent events.</summary>
public sealed class EventStreamTests
{
    [Fact]
    public async Task What_is_known_comes_first_and_then_what_happens()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        Tell(host, "one");
        Tell(host, "two");

        await using var stream = await Reader.OpenAsync(host, "/events?since=1");
        var known = await stream.NextAsync();
        Tell(host, "three");
        var happened = await stream.NextAsync();

        Assert.Equal("text/event-stream", stream.ContentType);
        Assert.Equal((2, "two"), known);
        Assert.Equal((3, "three"), happened);
    }

    /// <summary>A browser that was cut off goes on where it was.</summary>
    [Fact]
    public async Task The_last_number_that_a_reader_has_seen_counts_before_the_query()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        Tell(host, "one");
        Tell(host, "two");

        await using var stream = await Reader.OpenAsync(host, "/events?since=0", lastId: 1);

        Assert.Equal((2, "two"), await stream.NextAsync());
    }

    [Fact]
    public async Task A_quiet_stream_shows_that_the_agent_is_there()
    {
        var time = new FakeTimeProvider();
        await using var host = await RestHost.StartAsync(Nodes.Primary, time: time);

        // The clock may be put forward while a line is being written, which cuts the stream: then it is opened again.
        await WaitUntil.TrueAsync(async () =>
        {
            await using var stream = await Reader.OpenAsync(host, "/events");
            var line = stream.LineAsync(text => text == ": beat");
            while (!line.IsCompleted)
            {
                await Task.WhenAny(line, Task.Delay(
                    TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken));
                time.Advance(TimeSpan.FromSeconds(11));
            }
            return await line is not null;
        }, TimeSpan.FromSeconds(60), "a comment comes");
    }

    [Fact]
    public async Task There_are_only_so_many_streams_and_one_that_is_closed_makes_room()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        var streams = new List<Reader>();
        for (var i = 0; i < Agent.Rest.EventsRequest.MostStreams; i++)
        {
            streams.Add(await Reader.OpenAsync(host, "/events"));
        }

        Assert.Equal(HttpStatusCode.ServiceUnavailable, await CodeAsync(host));
        await streams[0].DisposeAsync();
        await WaitUntil.TrueAsync(async () => await CodeAsync(host) == HttpStatusCode.OK,
            TimeSpan.FromSeconds(60), "a stream that was closed makes room");
        foreach (var stream in streams)
        {
            await stream.DisposeAsync();
        }
    }

    /// <summary>It holds a connection and memory: an agent must not wait for it.</summary>
    [Fact]
    public async Task A_reader_that_takes_nothing_is_cut_off()
    {
        var time = new FakeTimeProvider();
        await using var host = await RestHost.StartAsync(Nodes.Primary, time: time);
        using var client = new TcpClient { ReceiveBufferSize = 4096 };
        await client.ConnectAsync(
            IPAddress.Loopback, host.Settings.Listen.Port, TestContext.Current.CancellationToken);
        await client.GetStream().WriteAsync(
            Encoding.ASCII.GetBytes("GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"),
            TestContext.Current.CancellationToken);
        await WaitUntil.TrueAsync(async () => await StreamsAsync(host) == 1, TimeSpan.FromSeconds(60),
            "the stream is open");

        for (var i = 0; i < 3; i++)
        {
            host.Events.Append(EventKind.Reason, "long", new string('x', 8 << 20), default, 1);
        }

        await WaitUntil.TrueAsync(async () =>
        {
            time.Advance(TimeSpan.FromSeconds(11));
            return await StreamsAsync(host) == 0;
        }, TimeSpan.FromSeconds(60), "the stream is cut off");
    }

    /// <summary>An open stream must not hold up a changed listener.</summary>
    [Fact]
    public async Task A_listener_that_opens_anew_ends_the_streams()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        await using var stream = await Reader.OpenAsync(host, "/events");

        await host.Server.ReloadAsync(
            RestHost.Loopback(), TestContext.Current.CancellationToken).WaitAsync(
                TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Null(await stream.LineAsync(text => text == "never"));
    }

    [Fact]
    public async Task Without_the_header_the_answer_is_one_document()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        Tell(host, "one");
        Tell(host, "two");

        var all = await host.JsonAsync("/events?since=1");

        Assert.Equal("pg-a", all.GetProperty("member").GetString());
        Assert.Equal((1, 2), (all.GetProperty("first").GetInt32(), all.GetProperty("last").GetInt32()));
        Assert.Equal("two", Assert.Single(all.GetProperty("events").EnumerateArray()).GetProperty("code").GetString());
    }

    private static void Tell(RestHost host, string code) =>
        host.Events.Append(EventKind.Reason, code, "a sentence", default, 1);

    private static async Task<HttpStatusCode> CodeAsync(RestHost host)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/events");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        using var response = await host.Http.SendAsync(
            request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        return response.StatusCode;
    }

    private static async Task<int> StreamsAsync(RestHost host)
    {
        var (_, text) = await host.SendAsync("GET", "/metrics");
        var line = text.Split('\n').Single(line => line.StartsWith("routing_event_streams{", StringComparison.Ordinal));
        return int.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    /// <summary>Reads one stream.</summary>
    private sealed class Reader(HttpResponseMessage response, StreamReader lines) : IAsyncDisposable
    {
        public string? ContentType => response.Content.Headers.ContentType?.MediaType;

        public static async Task<Reader> OpenAsync(RestHost host, string path, long? lastId = null)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
            if (lastId is { } id)
            {
                request.Headers.Add("Last-Event-ID", id.ToString(CultureInfo.InvariantCulture));
            }
            var response = await host.Http.SendAsync(
                request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            return new Reader(response, new StreamReader(
                await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken)));
        }

        /// <summary>The number and the code of the next event.</summary>
        public async Task<(int Id, string? Code)> NextAsync()
        {
            var id = await LineAsync(text => text.StartsWith("id: ", StringComparison.Ordinal));
            var data = await LineAsync(text => text.StartsWith("data: ", StringComparison.Ordinal));
            return (int.Parse(id![4..], CultureInfo.InvariantCulture),
                JsonElement.Parse(data![6..]).GetProperty("code").GetString());
        }

        /// <summary>The next line of this kind; null at the end of the stream.</summary>
        public async Task<string?> LineAsync(Func<string, bool> fits)
        {
            try
            {
                while (await lines.ReadLineAsync(TestContext.Current.CancellationToken)
                    .AsTask().WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken) is { } line)
                {
                    if (fits(line))
                    {
                        return line;
                    }
                }
            }
            catch (IOException)
            {
                // An end without a last chunk is an end.
            }
            return null;
        }

        public ValueTask DisposeAsync()
        {
            lines.Dispose();
            response.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
