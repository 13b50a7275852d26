namespace Routing.Proxy.Transport.Loops;

/// <summary>What a loop has asked the kernel for on behalf of a source.</summary>
internal struct Registration
{
    /// <summary>The epoll set knows it.</summary>
    public bool IsAdded;

    /// <summary>It waits to be brought in line with what the source wants.</summary>
    public bool IsChanged;

    /// <summary>The source is closed and waits for the end of its requests.</summary>
    public bool IsDying;

    /// <summary>io_uring receives for it.</summary>
    public bool IsReceiving;

    /// <summary>The receiving was told to end.</summary>
    public bool IsReceivingCancelled;

    /// <summary>io_uring waits for events.</summary>
    public bool IsPolling;

    /// <summary>The wait was told to end.</summary>
    public bool IsPollingCancelled;

    /// <summary>
    /// Where, from 1, what is to be sent to it stands among all that is to be sent with the next turn; 0: nothing is.
    /// </summary>
    public ushort Sending;

    /// <summary>The events that are waited for; none of them outside the lower sixteen bits.</summary>
    public ushort Polled;
}
