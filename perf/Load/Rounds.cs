using System.Globalization;

namespace Routing.Load;

/// <summary>What each way did in each round.</summary>
/// <remarks>
/// On a shared machine a median moves by more than what is to be seen. Within a round, some seconds, it moves less: the
/// ratios are taken there, and then their median.
/// </remarks>
/// <typeparam name="TResult">What one run of one way gives.</typeparam>
internal sealed class Rounds<TResult>(IReadOnlyList<string> ways)
{
    private readonly Dictionary<string, List<TResult>> _results =
        ways.ToDictionary(name => name, _ => new List<TResult>());

    public IReadOnlyList<string> Ways => ways;

    /// <summary>
    /// Goes round over the ways, each time beginning with the next one: nobody always comes after the same neighbour.
    /// </summary>
    /// <param name="count">Rounds.</param>
    /// <param name="measure">Measures the way with this number.</param>
    public async Task RunAsync(int count, Func<int, Task<TResult>> measure)
    {
        for (var run = 0; run < count; run++)
        {
            for (var at = 0; at < ways.Count; at++)
            {
                var way = (at + run) % ways.Count;
                _results[ways[way]].Add(await measure(way));
            }
        }
    }

    public double Median(string way, Func<TResult, double> of) => Quantile(_results[way].Select(of), 0.5);

    /// <summary>
    /// The ratio to HAProxy's best variant in the same round: the median, and between which values half of the rounds
    /// are.
    /// </summary>
    /// <returns>Empty without a variant of HAProxy, or for a way without such a figure.</returns>
    public string Ratio(string way, Func<TResult, double> of, bool isLessBetter = false)
    {
        var variants = _results.Keys.Where(name => name is "haproxy1" or "haproxy2" or "splice")
            .OrderBy(name => Median(name, of)).ToList();
        if (variants.Count == 0 || Median(way, of) == 0)
        {
            return "";
        }
        var best = isLessBetter ? variants[0] : variants[^1];
        var ratios = _results[way].Zip(_results[best], (one, other) => of(one) / of(other)).ToList();
        return way == best
            ? "1"
            : string.Create(CultureInfo.InvariantCulture,
                $"{Quantile(ratios, 0.5):F2} ({Quantile(ratios, 0.25):F2}–{Quantile(ratios, 0.75):F2})");
    }

    private static double Quantile(IEnumerable<double> values, double share)
    {
        var sorted = values.Order().ToList();
        var place = share * (sorted.Count - 1);
        var below = (int)place;
        return below + 1 == sorted.Count
            ? sorted[below]
            : sorted[below] + ((sorted[below + 1] - sorted[below]) * (place - below));
    }
}
