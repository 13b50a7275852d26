namespace Routing.Simulation.Tests;

/// <summary>
/// Random numbers of its own for one part of a schedule: what it draws changes nothing for the other parts.
/// </summary>
internal sealed class Chance(int seed)
{
    private readonly Random _random = new(seed);

    public bool Happens(double probability) => _random.NextDouble() < probability;

    public int Next(int below) => _random.Next(below);

    public double Factor() => _random.NextDouble();

    public TimeSpan Between(double leastMs, double mostMs) =>
        TimeSpan.FromMilliseconds(leastMs + (_random.NextDouble() * (mostMs - leastMs)));

    public T Pick<T>(params IReadOnlyList<T> among) => among[_random.Next(among.Count)];
}
