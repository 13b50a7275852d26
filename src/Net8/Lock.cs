namespace System.Threading;

/// <summary>
/// What .NET 9 brought: a lock of its own type. Compiled into the driver's libraries for net8.0 alone.
/// </summary>
internal sealed class Lock
{
    private readonly object _monitor = new();

    public Scope EnterScope()
    {
        Monitor.Enter(_monitor);
        return new Scope(_monitor);
    }

    /// <summary>Held until it is disposed of.</summary>
    public readonly ref struct Scope(object monitor)
    {
        public void Dispose() => Monitor.Exit(monitor);
    }
}
