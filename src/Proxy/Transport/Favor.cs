namespace Routing.Proxy.Transport;

/// <summary>What event loops do when there are fewer processors than programs that want one.</summary>
internal enum Favor
{
    /// <summary>A message is sent on at once: the loop interrupts the program that runs.</summary>
    Latency,

    /// <summary>The program that runs may finish, and more messages are sent on together.</summary>
    Throughput,
}
