namespace Routing.Dcs.Tests;

/// <summary>
/// A time that is promised, on a machine that may hold up any thread for longer: one of three tries has to keep it.
/// </summary>
internal static class Promise
{
    /// <summary>Tries until the promise is kept.</summary>
    /// <param name="round">One try; null when it was kept, and otherwise what was wrong.</param>
    public static async Task KeptAsync(Func<Task<string?>> round)
    {
        var problems = new List<string>();
        while (problems.Count < 3)
        {
            if (await round() is not { } problem)
            {
                return;
            }
            problems.Add(problem);
        }
        Assert.Fail(string.Join("\n", problems));
    }
}
