using System.Collections.Immutable;
using System.Globalization;
using Routing.Cluster;

namespace Routing.Agent.Config;

/// <summary>
/// Judges a dynamic configuration before it is written. Pure; beyond what <see cref="DynamicConfig.Problems"/> says.
/// </summary>
internal static class DynamicConfigCheck
{
    /// <summary>What nobody can use: one sentence each, with the name, the value and what is allowed.</summary>
    public static ImmutableArray<string> Problems(DynamicConfig config)
    {
        var least = Timing.FencedMinimum;
        var tooSmall = new[]
        {
            TooSmall("ttl", config.Timing.Ttl, least.Ttl),
            TooSmall("loop_wait", config.Timing.LoopWait, least.LoopWait),
            TooSmall("retry_timeout", config.Timing.RetryTimeout, least.RetryTimeout),
        };
        return [.. tooSmall.OfType<string>(), .. EffectivePostgresConfig.ProblemsOf(config)];
    }

    /// <summary>
    /// Which times hold in place of those that were written; null: they hold. Patroni takes times that do not fit
    /// together, and corrects them: its own manual shows such a request.
    /// </summary>
    public static string? Correction(DynamicConfig config)
    {
        var corrected = config.Timing.Corrected(Timing.FencedMinimum);
        return corrected == config.Timing
            ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"loop_wait + 2 × retry_timeout must not exceed ttl: {Text(config.Timing)} are taken as "
                    + $"{Text(corrected)}");
    }

    private static string Text(Timing timing) => string.Create(
        CultureInfo.InvariantCulture,
        $"ttl {timing.Ttl.TotalSeconds}, loop_wait {timing.LoopWait.TotalSeconds}, retry_timeout "
            + $"{timing.RetryTimeout.TotalSeconds}");

    private static string? TooSmall(string key, TimeSpan value, TimeSpan least) =>
        value >= least ? null : string.Create(
        CultureInfo.InvariantCulture,
        $"{key} is {value.TotalSeconds}, but must be at least {least.TotalSeconds} seconds.");
}
