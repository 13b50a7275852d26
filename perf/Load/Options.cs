using System.Globalization;

namespace Routing.Load;

/// <summary>What the command line asks for.</summary>
internal sealed record Options
{
    public const string Usage = """
        Usage: Load [--runs N] [--seconds N] [--clients N,…] [--variants NAME,…] [--parts NAME,…] [--proxy FILE] [--before FILE] [--out FILE]

        Runs pgbench and COPY directly and through HAProxy, PgBouncer and the proxy, alternating, on 127.0.0.1, and the driver beside them.

          --runs N      rounds over all variants; medians are reported (default 15)
          --seconds N   length of one pgbench run (default 2)
          --clients N,… for simple, prepared and driver (default 1,8,64)
          --variants    direct, haproxy1, haproxy2, splice, pgbouncer, before, epoll, io_uring, io_uring+, portable (default all; before only
                        with --before), epoll+ (a + favors throughput), epoll1, epoll2, io_uring1, io_uring2 (with so many loops)
          --parts       simple, prepared, connect, bulk, idle, switch, move, driver (default all)
          --proxy FILE  the native proxy; default artifacts/bin/routing-proxy
          --before FILE another build of the proxy, to see what a change does; measured with its own default transport
          --out FILE    write the tables there, too
        """;

    public static readonly string[] AllVariants = ["direct", "haproxy1", "haproxy2", "splice", "pgbouncer", "before",
        "epoll", "io_uring", "io_uring+", "portable"];

    private static readonly string[] s_knownVariants = [.. AllVariants, "epoll+", "epoll1", "epoll2", "io_uring1",
        "io_uring2"];

    public static readonly string[] AllParts = ["simple", "prepared", "connect", "bulk", "idle", "switch", "move",
        "driver"];

    public int Runs { get; private init; } = 15;

    public int Seconds { get; private init; } = 2;

    public IReadOnlyList<int> Clients { get; private init; } = [1, 8, 64];

    public IReadOnlyList<string> Variants
    {
        get => [.. field.Where(one => one != "before" || Before is not null)];
        private init;
    } = AllVariants;

    public IReadOnlyList<string> Parts { get; private init; } = AllParts;

    public string Proxy { get; init; } = Path.GetFullPath("artifacts/bin/routing-proxy");

    /// <summary>Another build of the proxy; null: none.</summary>
    public string? Before { get; init; }

    public string? Out { get; private init; }

    /// <summary>Reads the command line.</summary>
    /// <exception cref="FormatException">Something in it is not understood.</exception>
    public static Options Parse(IEnumerable<string> args)
    {
        var options = new Options();
        var rest = new Queue<string>(args);
        while (rest.TryDequeue(out var name))
        {
            options = name switch
            {
                "--runs" => options with { Runs = Number() },
                "--seconds" => options with { Seconds = Number() },
                "--clients" =>
                    options
                        with { Clients = [
                            .. Names(["1", "8", "64"]).Select(one => int.Parse(one, CultureInfo.InvariantCulture))] },
                "--variants" => options with { Variants = Names(s_knownVariants) },
                "--parts" => options with { Parts = Names(AllParts) },
                "--proxy" => options with { Proxy = Path.GetFullPath(Value()) },
                "--before" => options with { Before = Path.GetFullPath(Value()) },
                "--out" => options with { Out = Path.GetFullPath(Value()) },
                _ => throw new FormatException($"Unknown option {name}."),
            };

            string Value() =>
                rest.TryDequeue(out var value) ? value : throw new FormatException($"{name} needs a value.");

            int Number() =>
                int.TryParse(Value(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
                ? number
                : throw new FormatException($"{name} needs a positive number.");

            string[] Names(string[] known)
            {
                var names = Value().Split(',');
                return names.FirstOrDefault(one => !known.Contains(one)) is { } unknown
                    ? throw new FormatException($"{name}: {unknown} is none of {string.Join(", ", known)}.")
                    : names;
            }
        }
        return options;
    }
}
