namespace Routing.Proxy.Transport;

/// <summary>What event loops do when there are fewer processors than programs that want one.</summary>
internal enum Favor
{
    /// <summary>A message goes on at once: the loop interrupts who runs.</summary>
    Latency,

    /// <summary>Who runs finishes, and more messages go on together.</summary>
    Throughput,
}
