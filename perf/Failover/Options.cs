using System.Globalization;

namespace Routing.Failover;

/// <summary>What the command line asks for.</summary>
internal sealed record Options
{
    public const string Direct = "direct", Routed = "router";

    private const string Sessions = "sessions";

    public const string Usage = """
        Usage: Failover [--agent FILE] [--with-established] [--runs N] [--events NAME,…] [--settings NAME,…]
                        [--through direct,router] [--no-idle | --idle-only] [--limit MINUTES] [--out FILE]
               Failover --scenario sessions [--fronts NAME,…] [--proxy FILE] [--with-established] [--runs N] …

        Runs clusters of three on 127.0.0.1 (one etcd, PostgreSQL on free ports) and measures the outage that a writer with
        one connection sees, and what an idle agent costs.

          --scenario sessions measure what becomes of many sessions instead, some at rest: through our proxy, and, with the
                              established agent, HAProxy and PgBouncer. Its events are switchover unless named, its
                              setting is fastest
          --fronts            of that scenario: proxy, haproxy, session, transaction (of PgBouncer); default all
          --agent FILE        the native agent; default artifacts/bin/routing-agent, published when it is not there
          --proxy FILE        the native proxy; default artifacts/bin/routing-proxy
          --with-established  also run the `patroni` program of Debian's package, alternating with ours
          --runs N            runs per event and setting (default 5)
          --events            switchover, postmaster, agent, node (default all)
          --settings          default, fastest (default both)
          --through           direct: the writer tries all nodes (default); router: it knows our proxy, or HAProxy before the
                              established agent; or both
          --no-idle           leave the idle cost out
          --idle-only         measure nothing else
          --idle-seconds N    quiet time before, and time of, the idle measurement (default 60)
          --limit MINUTES     start no run after this time (default 60)
          --out FILE          write the tables there, too
        """;

    /// <summary>The native agent, or null for the one of <c>./build</c>.</summary>
    public string? Agent { get; private init; }

    /// <summary>The native proxy, or null for the one of <c>./build</c>.</summary>
    public string? Proxy { get; private init; }

    public bool WithEstablished { get; private init; }

    /// <summary>Many sessions, instead of one writer.</summary>
    public bool IsOfSessions { get; private init; }

    /// <summary>What stands before the clusters then.</summary>
    public IReadOnlyList<string> Fronts { get; private init; } = [.. FrontKind.All.Select(one => one.Name)];

    /// <summary>Clients go through a router.</summary>
    public bool NeedsRouter => IsOfSessions || Through.Contains(Routed);

    public int Runs { get; private init; } = 5;

    public IReadOnlyList<string> Events { get; private init; } = [.. Event.All.Select(one => one.Name)];

    public IReadOnlyList<string> Settings { get; private init; } = [Contender.Default, Contender.Fastest];

    /// <summary>How the writer goes: <see cref="Direct"/>, <see cref="Routed"/> or both.</summary>
    public IReadOnlyList<string> Through { get; private init; } = [Direct];

    public bool Idle { get; private init; } = true;

    public bool Failover { get; private init; } = true;

    public TimeSpan IdleTime { get; private init; } = TimeSpan.FromSeconds(60);

    public TimeSpan Limit { get; private init; } = TimeSpan.FromMinutes(60);

    /// <summary>The file for the tables, or null.</summary>
    public string? Out { get; private init; }

    /// <summary>Reads the command line.</summary>
    /// <exception cref="FormatException">Something in it is not understood.</exception>
    public static Options Parse(IEnumerable<string> args)
    {
        var rest = new Queue<string>(args);
        var options = new Options();
        if (rest.TryPeek(out var first) && first == "--scenario")
        {
            rest.Dequeue();
            options = rest.TryDequeue(out var scenario) && scenario == Sessions
                ? new Options
                {
                    IsOfSessions = true, Idle = false, Events = [Event.Switchover], Settings = [Contender.Fastest],
                }
                : throw new FormatException("--scenario takes sessions.");
        }
        while (rest.TryDequeue(out var name))
        {
            options = name switch
            {
                "--agent" => options with { Agent = Path.GetFullPath(Value()) },
                "--proxy" => options with { Proxy = Path.GetFullPath(Value()) },
                "--with-established" => options with { WithEstablished = true },
                "--runs" => options with { Runs = Number() },
                "--events" => options with { Events = Names(Event.All.Select(one => one.Name)) },
                "--fronts" => options with { Fronts = Names(FrontKind.All.Select(one => one.Name)) },
                "--settings" => options with { Settings = Names([Contender.Default, Contender.Fastest]) },
                "--through" => options with { Through = Names([Direct, Routed]) },
                "--no-idle" => options with { Idle = false },
                "--idle-only" => options with { Failover = false },
                "--idle-seconds" => options with { IdleTime = TimeSpan.FromSeconds(Number()) },
                "--limit" => options with { Limit = TimeSpan.FromMinutes(Number()) },
                "--out" => options with { Out = Path.GetFullPath(Value()) },
                _ => throw new FormatException($"Unknown option {name}."),
            };

            string Value() =>
                rest.TryDequeue(out var value) ? value : throw new FormatException($"{name} needs a value.");

            int Number() =>
                int.TryParse(Value(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
                ? number
                : throw new FormatException($"{name} needs a positive number.");

            string[] Names(IEnumerable<string> known)
            {
                var names = Value().Split(',');
                return names.FirstOrDefault(one => !known.Contains(one)) is { } unknown
                    ? throw new FormatException($"{name}: {unknown} is none of {string.Join(", ", known)}.")
                    : names;
            }
        }
        return options.Idle || options.Failover
            ? options
            : throw new FormatException("--no-idle and --idle-only exclude each other.");
    }
}
