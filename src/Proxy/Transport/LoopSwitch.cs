using System.Runtime.CompilerServices;

namespace Routing.Proxy.Transport;

/// <summary>
/// Awaited to go on on a connection's loop, after something that may have been completed by another thread.
/// </summary>
internal readonly struct LoopSwitch(ITransportConnection connection) : ICriticalNotifyCompletion
{
    /// <summary>Always through the loop's queue: whether this is its thread can't be asked.</summary>
    public bool IsCompleted => false;

    /// <summary>Itself.</summary>
    public LoopSwitch GetAwaiter() => this;

    /// <summary>Nothing to get.</summary>
    public void GetResult()
    {
    }

    /// <inheritdoc/>
    public void OnCompleted(Action continuation) => connection.Post(static state => ((Action)state!)(), continuation);

    /// <inheritdoc/>
    public void UnsafeOnCompleted(Action continuation) => OnCompleted(continuation);
}
