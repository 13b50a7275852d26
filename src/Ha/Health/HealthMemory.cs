namespace Routing.Ha.Health;

/// <summary>What is wrong with the server, and since when.</summary>
/// <param name="Problem">The problem.</param>
/// <param name="Detail">The problem in a few words.</param>
/// <param name="Since">Since when; null without a problem.</param>
/// <param name="SilentSince">Since when the server has not answered; null while it answers.</param>
public sealed record HealthMemory(HealthProblem Problem, string Detail, TimeSpan? Since, TimeSpan? SilentSince)
{
    /// <summary>Nothing is wrong.</summary>
    public static readonly HealthMemory None = new(HealthProblem.None, "", null, null);
}
