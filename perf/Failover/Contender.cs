namespace Routing.Failover;

/// <summary>One agent program with one setting of its times.</summary>
/// <param name="Agent">Its name in the tables.</param>
/// <param name="Program">The file to start with the configuration as its only argument.</param>
/// <param name="Setting">
/// <see cref="Default"/> or <see cref="Fastest"/>: contenders are compared within one of them.
/// </param>
/// <param name="Ttl">Seconds that the leader key outlives its holder.</param>
/// <param name="LoopWait">Seconds between two runs of the loop.</param>
/// <param name="RetryTimeout">Seconds that etcd or PostgreSQL may stay silent.</param>
internal sealed record Contender(string Agent, string Program, string Setting, int Ttl, int LoopWait, int RetryTimeout)
{
    /// <summary>The times that both programs have when nothing is configured.</summary>
    public const string Default = "default";

    /// <summary>The shortest times that the program allows.</summary>
    public const string Fastest = "fastest";

    public const string Established = "established";

    public bool IsOurs => Agent != Established;

    /// <summary>As in "30/10/10".</summary>
    public string Times => $"{Ttl}/{LoopWait}/{RetryTimeout}";

    public override string ToString() => $"{Agent} {Times}";

    public static IEnumerable<Contender> Ours(string program) =>
    [
        new("routing", program, Default, 30, 10, 10),
        new("routing", program, Fastest, 5, 1, 1),
    ];

    public static IEnumerable<Contender> OfDebian() =>
    [
        new(Established, "/usr/bin/patroni", Default, 30, 10, 10),
        new(Established, "/usr/bin/patroni", Fastest, 20, 1, 3),
    ];
}
