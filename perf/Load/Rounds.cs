using System.Globalization;

namespace Routing.Load;

/// <summary>What each way did in each round.</summary>
/// <remarks>
/// On a shared machine a median moves by more than what is to be seen. Within a round, some seconds, it moves less: the ratios are
/// taken there, and then their median.
/// </remarks>
internal sealed class Rounds(IEnumerable<string> ways)
{
    private readonly Dictionary<string, List<Result>> _results = ways.ToDictionary(name => name, _ => new List<Result>());

    public IEnumerable<string> Ways => _results.Keys;

    public void Add(string way, Result result) => _results[way].Add(result);

    public double Median(string way, Func<Result, double> of) => Quantile(_results[way].Select(of), 0.5);

    /// <summary>The ratio to HAProxy's best variant in the same round: the median, and between which values half of the rounds are.</summary>
    /// <returns>Empty without a variant of HAProxy, or for a way without such a figure.</returns>
    public string Ratio(string way, Func<Result, double> of, bool isLessBetter = false)
    {
        var variants = _results.Keys.Where(name => name is "haproxy1" or "haproxy2" or "splice").OrderBy(name => Median(name, of)).ToList();
        if (variants.Count == 0 || Median(way, of) == 0)
        {
            return "";
        }
        var best = isLessBetter ? variants[0] : variants[^1];
        var ratios = _results[way].Zip(_results[best], (one, other) => of(one) / of(other)).ToList();
        return way == best
            ? "1"
            : string.Create(CultureInfo.InvariantCulture, $"{Quantile(ratios, 0.5):F2} ({Quantile(ratios, 0.25):F2}–{Quantile(ratios, 0.75):F2})");
    }

    private static double Quantile(IEnumerable<double> values, double share)
    {
        var sorted = values.Order().ToList();
        var place = share * (sorted.Count - 1);
        var below = (int)place;
        return below + 1 == sorted.Count ? sorted[below] : sorted[below] + ((sorted[below + 1] - sorted[below]) * (place - below));
    }

    /// <summary>One run.</summary>
    /// <param name="Tps">Transactions, or gigabytes, per second.</param>
    /// <param name="P50">Microseconds.</param>
    /// <param name="P99">Microseconds.</param>
    /// <param name="Cpu">Microseconds per transaction, or seconds per gigabyte.</param>
    public sealed record Result(double Tps, double P50, double P99, double Cpu);
}
