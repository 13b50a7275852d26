using System.Runtime.InteropServices;

namespace Routing.Proxy.Transport.Loops;

/// <summary>A descriptor that a loop watches.</summary>
internal abstract class LoopSource
{
    private GCHandle _handle;
    private bool _isPassed;

    /// <summary>What the loop has asked the kernel for; it belongs to the loop.</summary>
    internal Registration Registration;

    /// <summary>A source on a loop; not watched yet.</summary>
    protected LoopSource(EventLoop loop, int fd) => (Owner, Fd) = (loop, fd);

    /// <summary>The descriptor.</summary>
    public int Fd { get; }

    /// <summary>The loop.</summary>
    public EventLoop Owner { get; }

    /// <summary>It was given up; events of the same batch may still come and mean nothing.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>What it is watched for; 0 also while it is not watched at all.</summary>
    public uint Watched { get; private set; }

    /// <summary>Whether it is watched: with no event asked for, EPOLLERR and EPOLLHUP are.</summary>
    public bool IsWatched { get; private set; }

    /// <summary>
    /// Whether bytes are wanted by <see cref="OnReceived"/> instead of the news that there are some. Where the loop
    /// can't receive by itself the news comes all the same.
    /// </summary>
    public bool Receives
    {
        get;
        protected set
        {
            if (field != value && !IsClosed)
            {
                field = value;
                Owner.Change(this);
            }
        }
    }

    /// <summary>A number by which <see cref="Of"/> finds it; a multiple of eight.</summary>
    internal nint Handle
    {
        get
        {
            if (!_handle.IsAllocated)
            {
                _handle = GCHandle.Alloc(this);
            }
            return GCHandle.ToIntPtr(_handle);
        }
    }

    /// <summary>Events are there. On the loop's thread.</summary>
    public abstract void OnEvents(uint events);

    /// <summary>The loop has received for it. On the loop's thread.</summary>
    /// <param name="bytes">What came. Gone afterwards, unless <see cref="EventLoop.TrySendLater"/> took it.</param>
    public virtual void OnReceived(ReadOnlySpan<byte> bytes)
    {
    }

    /// <summary>Receiving is over: 0 at the end of the stream, else the error.</summary>
    public virtual void OnReceiveEnded(int error)
    {
    }

    /// <summary>The kernel did not take all that was to be sent later.</summary>
    /// <param name="unsent">What it has not taken.</param>
    /// <param name="error">EAGAIN: it will take more when it is writable; else why the receiver is gone.</param>
    public virtual void OnUnsent(ReadOnlySpan<byte> unsent, int error)
    {
    }

    /// <summary>The source of a handle that was not released.</summary>
    internal static LoopSource Of(nint handle) => (LoopSource)GCHandle.FromIntPtr(handle).Target!;

    /// <summary>
    /// Closes the descriptor. Called by the loop alone, between two batches, when nothing in the kernel refers to it.
    /// </summary>
    internal void Release()
    {
        if (_handle.IsAllocated)
        {
            _handle.Free();
        }
        OnReleased(_isPassed);
    }

    /// <summary>
    /// Begins to watch, or changes what is watched. EPOLLERR and EPOLLHUP are reported without being asked for.
    /// </summary>
    protected void Watch(uint events)
    {
        if (!IsClosed && !(IsWatched && events == Watched))
        {
            (IsWatched, Watched) = (true, events);
            Owner.Change(this);
        }
    }

    /// <summary>Watches for nothing at all, not even for errors, until the next <see cref="Watch"/>.</summary>
    protected void StopWatching()
    {
        if (IsWatched && !IsClosed)
        {
            (IsWatched, Watched) = (false, 0);
            Owner.Change(this);
        }
    }

    /// <summary>
    /// Gives it up: no more events are acted on; the descriptor is closed after the present batch of events.
    /// </summary>
    /// <remarks>
    /// Closed at once, its number could be taken again by another thread's accept, and an event that waits in this
    /// batch would hit the wrong connection.
    /// </remarks>
    protected void CloseLater()
    {
        if (!IsClosed)
        {
            IsClosed = true;
            Owner.CloseLater(this);
        }
    }

    /// <summary>Gives it up without closing the descriptor, which has another owner now.</summary>
    protected void Pass()
    {
        _isPassed = true;
        CloseLater();
    }

    /// <summary>Nothing in the kernel refers to it any more.</summary>
    /// <param name="isPassed">The descriptor has another owner.</param>
    protected virtual void OnReleased(bool isPassed)
    {
        if (!isPassed)
        {
            _ = Kernel.Close(Fd);
        }
    }
}
