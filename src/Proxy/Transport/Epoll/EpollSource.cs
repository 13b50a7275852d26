using System.Runtime.InteropServices;

namespace Routing.Proxy.Transport.Epoll;

/// <summary>A descriptor that a loop watches.</summary>
internal abstract class EpollSource
{
    private GCHandle _handle;
    private uint _watched;
    private bool _isAdded;
    private bool _isPassed;

    /// <summary>A source on a loop; not watched yet.</summary>
    protected EpollSource(EpollLoop loop, int fd) => (Owner, Fd) = (loop, fd);

    /// <summary>The descriptor.</summary>
    public int Fd { get; }

    /// <summary>The loop.</summary>
    public EpollLoop Owner { get; }

    /// <summary>It was given up; events of the same batch may still come and mean nothing.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>What it is watched for.</summary>
    protected uint Watched => _watched;

    /// <summary>Events are there. On the loop's thread.</summary>
    public abstract void OnEvents(uint events);

    /// <summary>Begins to watch, or changes what is watched. EPOLLERR and EPOLLHUP always are.</summary>
    protected unsafe void Watch(uint events)
    {
        if (IsClosed || (_isAdded && events == _watched))
        {
            return;
        }
        if (!_handle.IsAllocated)
        {
            _handle = GCHandle.Alloc(this);
        }
        var operation = _isAdded ? Kernel.EPOLL_CTL_MOD : Kernel.EPOLL_CTL_ADD;
        (_isAdded, _watched) = (true, events);
        var what = new Kernel.EpollEvent { Events = events, Data = GCHandle.ToIntPtr(_handle) };
        if (Kernel.EpollControl(Owner.Epoll, operation, Fd, &what) != 0)
        {
            throw Kernel.Exception(Kernel.Error);
        }
    }

    /// <summary>Watches for nothing at all, not even for errors, until the next <see cref="Watch"/>.</summary>
    protected unsafe void StopWatching()
    {
        if (_isAdded && !IsClosed)
        {
            (_isAdded, _watched) = (false, 0);
            _ = Kernel.EpollControl(Owner.Epoll, Kernel.EPOLL_CTL_DEL, Fd, null);
        }
    }

    /// <summary>Gives it up: no more events are acted on; the descriptor is closed after the present batch of events.</summary>
    /// <remarks>
    /// Closed at once, its number could be taken again by another thread's accept, and an event that waits in this batch would
    /// hit the wrong connection.
    /// </remarks>
    protected void CloseLater()
    {
        if (!IsClosed)
        {
            IsClosed = true;
            Owner.CloseLater(this);
        }
    }

    /// <summary>Gives it up without closing the descriptor, which belongs to somebody else now.</summary>
    protected void Pass()
    {
        _isPassed = true;
        CloseLater();
    }

    /// <summary>Closes the descriptor. Called by the loop alone, between two batches.</summary>
    internal void CloseNow()
    {
        if (!_isPassed)
        {
            _ = Kernel.Close(Fd);
        }
        if (_handle.IsAllocated)
        {
            _handle.Free();
        }
    }
}
