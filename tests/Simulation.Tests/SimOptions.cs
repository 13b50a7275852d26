using System.Globalization;
using System.Text.Json;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>What a schedule is made of.</summary>
internal sealed partial record SimOptions
{
    public int Nodes { get; init; } = 3;

    /// <summary>How many of the nodes run Patroni.</summary>
    public int PatroniNodes { get; init; }

    /// <summary>How many sites the nodes stand in; 0: none has one. Those with Patroni know of none.</summary>
    public int Sites { get; init; }

    public int Ttl { get; init; } = 5;

    public int LoopWait { get; init; } = 2;

    public int RetryTimeout { get; init; } = 1;

    public SynchronousMode Mode { get; init; }

    public bool Strict { get; init; }

    public int SynchronousNodes { get; init; } = 1;

    public bool Failsafe { get; init; }

    public int PrimaryStartTimeout { get; init; } = 300;

    public long MaximumLag { get; init; } = 1_048_576;

    public bool CheckTimeline { get; init; }

    public bool RewindPossible { get; init; } = true;

    public bool MayRemoveDivergedData { get; init; }

    /// <summary>How long the server needs to take settings.</summary>
    public Func<TimeSpan> SettingsTake { get; init; } = () => TimeSpan.Zero;

    /// <summary>How many routers follow the cluster, with a session each.</summary>
    public int Routers { get; init; }

    /// <summary>Planted: a router believes whatever view it sees last.</summary>
    public bool RouterForgetsTerms { get; init; }

    /// <summary>Planted: a router holds until another member leads, however long that takes.</summary>
    public bool RouterNeverGivesUp { get; init; }

    /// <summary>How fast or slow clocks run at most: 0.0002 gains or loses 200 µs in a second.</summary>
    public double Drift { get; init; } = 0.0002;

    /// <summary>Things go wrong from the beginning, while the cluster is made.</summary>
    public bool FromStart { get; init; }

    /// <summary>Of the answers to each question of failsafe mode, one comes too late.</summary>
    public bool OneConsentIsLate { get; init; }

    /// <summary>How often a fault comes with a second one at nearly the same time.</summary>
    public double Together { get; init; }

    /// <summary>What may happen; empty: a calm schedule.</summary>
    public IReadOnlyList<Fault> Faults { get; init; } = [];

    /// <summary>How long things go wrong.</summary>
    public TimeSpan Storm { get; init; } = TimeSpan.FromSeconds(25);

    public TimeSpan MeanPause { get; init; } = TimeSpan.FromSeconds(4);

    // --- planted bugs -----------------------------------------------------------------------------------------------

    /// <summary>The fence never acts.</summary>
    public bool FenceIsDead { get; init; }

    /// <summary>The guard counts the lease from the answer, not from before the request.</summary>
    public bool CountsFromTheAnswer { get; init; }

    /// <summary>A standby that is to follow another one promotes itself.</summary>
    public bool PromotesItself { get; init; }

    /// <summary>A shorter lease does not bring the guard's deadline forward.</summary>
    public bool KeepsLongerDeadlines { get; init; }

    /// <summary>An agent that is started anew does not know what it consented to.</summary>
    public bool ForgetsConsents { get; init; }

    /// <summary>Spoils the decision.</summary>
    public Func<Observation, Decision, Decision>? Spoil { get; init; }

    /// <summary>The code that renews the lease hangs where it would break.</summary>
    public bool KeeperHangs { get; init; }

    /// <summary>A member consents to whoever says that it leads.</summary>
    public bool ConsentsToAnybody { get; init; }

    /// <summary>Clients that write to the primary read from a standby.</summary>
    public bool ReadsStandbys { get; init; }

    /// <summary>Shows an agent an old snapshot now and then.</summary>
    public bool ShowsOldSnapshots { get; init; }

    /// <summary>Nothing happens in which a commit could be lost; Patroni's own switchovers may lose one.</summary>
    public bool IsCalm => PatroniNodes == 0 && Faults.All(f => f is Fault.Switchover or Fault.ChangeTimes);

    /// <summary>Nothing happens that a leader could have to go for.</summary>
    public bool IsQuiet => Faults.All(f => f is Fault.ChangeTimes);

    /// <summary>
    /// Failsafe mode has to carry: the DCS goes away, and each member answers again a moment after its agent was
    /// started anew.
    /// </summary>
    public bool MustStayLeader =>
        Failsafe && Faults.Count > 0 && Faults.All(f => f is Fault.DcsOutage or Fault.RestartAgent);

    /// <summary>The longest lease that a member may hold when the storm is over.</summary>
    public int LongestTtl => Faults.Contains(Fault.ChangeTimes) ? Math.Max(Ttl, LongTtl) : Ttl;

    /// <summary>How long after the last fault a leader may take at most, besides what the lease takes.</summary>
    public int Patience { get; init; } = 25;

    /// <summary>The largest that <c>maximum_lag_on_failover</c> can be in a schedule.</summary>
    public long MostLag => Faults.Contains(Fault.ChangeSettings) ? Math.Max(MaximumLag, LargestLag) : MaximumLag;

    /// <summary>What <c>maximum_lag_on_failover</c> is changed to, besides small values.</summary>
    public const long LargestLag = 1_048_576;

    /// <summary>What the ttl is changed to, besides short ones.</summary>
    public const int LongTtl = 30;

    public Func<SimWorld, TimeSpan> PromotionTime { get; init; } = world => world.Between(20, 400);

    private const string PermanentSlot =
        """
        "slots":{"app":{"type":"logical","database":"app","plugin":"pgoutput"}},
        """;

    public JsonElement Config() => JsonElement.Parse(string.Create(CultureInfo.InvariantCulture, $$"""
        {"ttl":{{Ttl}},"loop_wait":{{LoopWait}},"retry_timeout":{{RetryTimeout}},"maximum_lag_on_failover":{{MaximumLag}},
        "primary_start_timeout":{{PrimaryStartTimeout}},"check_timeline":{{(CheckTimeline ? "true" : "false")}},"failsafe_mode":{{(Failsafe ? "true" : "false")}},
        "synchronous_mode":{{(Mode switch { SynchronousMode.Off => "false", SynchronousMode.Quorum => "\"quorum\"", _ => "true" })}},
        "synchronous_mode_strict":{{(Strict ? "true" : "false")}},"synchronous_node_count":{{SynchronousNodes}},
        {{(HasSlots ? PermanentSlot : "")}}"postgresql":{"use_pg_rewind":true,"use_slots":{{(HasSlots ? "true" : "false")}}} }
        """));

    public override string ToString() =>
        $"{Nodes} nodes{(PatroniNodes > 0 ? $" ({PatroniNodes} with Patroni)" : "")}"
            + $"{(Sites > 0 ? $" in {Sites} sites" : "")}, "
            + $"{Ttl}/{LoopWait}/{RetryTimeout}, {Mode}{(Strict ? " strict" : "")} × {SynchronousNodes}"
        + $"{(Failsafe ? ", failsafe" : "")}, start timeout {PrimaryStartTimeout}, drift "
        + $"{Drift}{(FromStart ? ", from the start" : "")}, "
        + string.Join(' ', Faults);
}
