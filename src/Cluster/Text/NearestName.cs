namespace Routing.Cluster.Text;

/// <summary>Finds the known name that a wrong one was probably meant to be.</summary>
public static class NearestName
{
    /// <summary>More differences than these are another word.</summary>
    private const int MostDifferences = 3;

    /// <summary>The known name with the fewest letters changed, or null when none is near.</summary>
    public static string? Of(string name, IEnumerable<string> known)
    {
        var allowed = Math.Min(MostDifferences, name.Length / 3);
        return known
            .Select(candidate => (candidate, differences: Differences(name, candidate)))
            .Where(one => one.differences <= allowed)
            .OrderBy(one => one.differences)
            .Select(one => one.candidate)
            .FirstOrDefault();
    }

    /// <summary>The number of letters to insert, delete or replace.</summary>
    private static int Differences(string left, string right)
    {
        var row = Enumerable.Range(0, right.Length + 1).ToArray();
        for (var i = 1; i <= left.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var replaced =
                    diagonal + (char.ToUpperInvariant(left[i - 1]) == char.ToUpperInvariant(right[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[^1];
    }
}
