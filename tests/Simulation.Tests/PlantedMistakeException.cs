namespace Routing.Simulation.Tests;

/// <summary>A mistake in the code of an agent: nobody expects it, so its process has to end.</summary>
internal sealed class PlantedMistakeException() : Exception("a planted mistake");
