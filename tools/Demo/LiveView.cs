using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Routing.Demo;

/// <summary>The cluster on the terminal, several times a second, until Ctrl-C.</summary>
internal sealed class LiveView(DemoOptions options, DemoCluster cluster, Observer observer, IAnsiConsole console)
{
    private static readonly TimeSpan s_period = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_periodOfLines = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_window = TimeSpan.FromSeconds(5);
    private const int EventsShown = 12;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var writer = new Writer(cluster, observer.Note);
        await using var reader = new Reader(cluster.Proxy);
        if (!console.Profile.Capabilities.Interactive || !console.Profile.Capabilities.Ansi)
        {
            await PrintLinesAsync(writer, cancellationToken);
            return;
        }
        await console.Live(Draw(writer, reader)).AutoClear(false).Overflow(VerticalOverflow.Crop)
            .StartAsync(async live =>
        {
            while (!cancellationToken.IsCancellationRequested)
            {
                live.UpdateTarget(Draw(writer, reader));
                await Task.Delay(s_period, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        });
    }

    /// <summary>Not a terminal: what changed, as lines.</summary>
    private async Task PrintLinesAsync(Writer writer, CancellationToken cancellationToken)
    {
        foreach (var line in Help())
        {
            console.WriteLine(line);
        }
        var last = "";
        while (!cancellationToken.IsCancellationRequested)
        {
            if (observer.ToString() is var now && now != last)
            {
                console.WriteLine($"{now}; writer at {writer.At ?? "nobody"}, {writer.Count} acknowledged");
                last = now;
            }
            await Task.Delay(s_periodOfLines, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private Rows Draw(Writer writer, Reader reader)
    {
        var newest = observer.Members.Max(member => member.Position);
        var members = new Table().Border(TableBorder.Rounded)
            .AddColumns("Member", "Role", "State", "TL", "Lag", "PostgreSQL", "REST", "Why");
        foreach (var member in observer.Members)
        {
            var node = cluster[member.Name];
            members.AddRow(
                new Text(member.Name, new Style(decoration: Decoration.Bold)),
                new Text(RoleOf(member),
                    new Style(member.IsPrimary ? Color.Green : member.Answers ? Color.Aqua : Color.Red)),
                new Text(!member.Answers
                    ? "no answer"
                    : member.ReplicationState is { Length: > 0 } state ? state : member.State),
                new Text(member.Timeline == 0 ? "" : member.Timeline.ToString(CultureInfo.InvariantCulture)),
                new Text(member.IsPrimary || !member.Answers ? "" : Bytes(newest - member.Position)),
                new Text(string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{node.Port}")),
                new Text(string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{node.RestPort}")),
                new Text(member.Reason));
        }
        var events =
            new Rows(observer.Events.TakeLast(EventsShown).Select(entry => (IRenderable)new Text(entry.ToString())));
        return new Rows(
            members,
            new Text(WriterLine(writer)),
            new Text(string.Create(CultureInfo.InvariantCulture,
                $"Reader   {reader.Reads} reads on replicas, newest number {reader.Newest}, {reader.Errors} errors")),
            new Panel(events).Header("Last events").Expand(),
            new Panel(new Rows(Help().Select(line => (IRenderable)new Text(line)))).Header("Try, in another terminal")
                .Expand());
    }

    private static string RoleOf(MemberState member) => member switch
    {
        { Answers: false } => "?",
        { IsPrimary: true } => "primary",
        { IsVoter: true } => "standby, votes",
        { Role: "replica" } => "standby",
        _ => member.Role,
    };

    private static string WriterLine(Writer writer)
    {
        var recent = writer.Within(s_window);
        var times = recent.Select(write => write.Took.TotalMilliseconds).Order().ToList();
        return string.Create(CultureInfo.InvariantCulture,
            $"Writer   at {writer.At ?? "nobody"}, {writer.Count} acknowledged, "
                + $"{recent.Count / s_window.TotalSeconds:0}/s, {writer.Errors} errors; "
            + $"latency p50 {At(times, 0.5):0.0} ms, p99 {At(times, 0.99):0.0} ms; "
            + $"longest pause {writer.LongestGap(0).TotalSeconds:0.000} s");
    }

    private static double At(List<double> sorted, double part) =>
        sorted.Count == 0 ? 0 : sorted[Math.Min((int)(sorted.Count * part), sorted.Count - 1)];

    private static string Bytes(ulong bytes) =>
        bytes < 1024 ? $"{bytes} B" : bytes < 1 << 20 ? $"{bytes >> 10} KiB" : $"{bytes >> 20} MiB";

    private IEnumerable<string> Help()
    {
        var first = cluster.Nodes[0];
        var proxy = cluster.Proxy;
        yield return string.Create(CultureInfo.InvariantCulture,
            $"connect     psql 'postgresql://postgres:{Node.Password}@127.0.0.1:{proxy.WritePort}/postgres'    (the "
                + $"leader; a replica at port {proxy.ReadPort})");
        yield return string.Create(CultureInfo.InvariantCulture,
            $"routes      http://127.0.0.1:{proxy.AdminPort}/    (the proxy's page; also /routes, /metrics)");
        yield return $"look        {options.Routingctl} -c {first.ConfigurationFile} list";
        yield return $"switch      {options.Routingctl} -c {first.ConfigurationFile} switchover demo --force";
        if (observer.Primary is { } primary)
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"crash it    kill -9 {cluster[primary.Name].Postmaster}    (the postmaster of {primary.Name}, the "
                    + $"primary)");
        }
        yield return $"read logs   tail -f {Path.Combine(options.Folder, "?", "agent.log")}";
        yield return "end         Ctrl-C: everything stops and is removed";
    }
}
