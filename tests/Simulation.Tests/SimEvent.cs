namespace Routing.Simulation.Tests;

/// <summary>Something that is going to happen.</summary>
internal abstract class SimEvent
{
    /// <summary>It does nothing any more when its time comes.</summary>
    public virtual bool IsVoid => false;

    public abstract void Happen();
}
