namespace Routing.Simulation.Tests;

/// <summary>The way between a node and the DCS.</summary>
internal enum DcsLink
{
    Open,

    /// <summary>Nothing passes.</summary>
    Cut,

    /// <summary>Nothing arrives at the DCS.</summary>
    RequestsLost,

    /// <summary>Requests arrive and are carried out; nothing comes back.</summary>
    AnswersLost,
}
