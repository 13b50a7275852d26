using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;

namespace Routing.Proxy.Transport.Loops;

/// <summary>An attempt to connect, that becomes a connection or an error.</summary>
internal sealed class LoopConnector : LoopSource, IValueTaskSource<ITransportConnection>
{
    private readonly EndPoint _address;
    private ManualResetValueTaskSourceCore<ITransportConnection> _end;
    private CancellationTokenRegistration _registration;
    private CancellationToken _token;
    private bool _isOver;

    public LoopConnector(EventLoop loop, EndPoint address, SocketTuning options)
        : base(loop, NewSocket(address))
    {
        _address = address;
        Kernel.Tune(Fd, options);
    }

    /// <summary>Begins; the result comes on the loop.</summary>
    public ValueTask<ITransportConnection> ConnectAsync(CancellationToken cancellationToken)
    {
        _token = cancellationToken;
        if (Owner.IsCurrent)
        {
            Begin();
        }
        else
        {
            Owner.Post(static self => ((LoopConnector)self!).Begin(), this);
        }
        return new(this, _end.Version);
    }

    /// <inheritdoc/>
    public override unsafe void OnEvents(uint events)
    {
        if (_isOver)
        {
            return;
        }
        var error = 0;
        var length = sizeof(int);
        _ = Kernel.GetOption(Fd, Kernel.SOL_SOCKET, Kernel.SO_ERROR, &error, &length);
        Finish(error);
    }

    ITransportConnection IValueTaskSource<ITransportConnection>.GetResult(short token) => _end.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<ITransportConnection>.GetStatus(short token) => _end.GetStatus(token);

    void IValueTaskSource<ITransportConnection>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _end.OnCompleted(continuation, state, token, flags & ~ValueTaskSourceOnCompletedFlags.UseSchedulingContext);

    private static int NewSocket(EndPoint address)
    {
        var family = address.AddressFamily switch
        {
            AddressFamily.InterNetwork => Kernel.AF_INET,
            AddressFamily.InterNetworkV6 => Kernel.AF_INET6,
            AddressFamily.Unix => Kernel.AF_UNIX,
            var other => throw new ArgumentException($"{other} is no family to connect to.", nameof(address)),
        };
        var fd = Kernel.Socket(family, Kernel.SOCK_STREAM | Kernel.SOCK_NONBLOCK | Kernel.SOCK_CLOEXEC, 0);
        return fd >= 0 ? fd : throw Kernel.Exception(Kernel.Error);
    }

    private unsafe void Begin()
    {
        var address = _address.Serialize();
        int result;
        fixed (byte* bytes = address.Buffer.Span)
        {
            result = Kernel.Connect(Fd, bytes, address.Size);
        }
        var error = result == 0 ? 0 : Kernel.Error;
        if (error is not (Kernel.EINPROGRESS or Kernel.EINTR))
        {
            Finish(error);
            return;
        }
        try
        {
            Watch(Kernel.EPOLLOUT);
        }
        catch (SocketException problem)
        {
            Fail(problem);
            return;
        }
        if (_token.CanBeCanceled)
        {
            _registration = _token.UnsafeRegister(
                static self => ((LoopConnector)self!).Owner.Post(static own => ((LoopConnector)own!).Cancel(), self),
                this);
        }
    }

    private void Cancel() => Fail(new OperationCanceledException(_token));

    private void Finish(int error)
    {
        if (error != 0)
        {
            Fail(Kernel.Exception(error));
            return;
        }
        if (End())
        {
            // The descriptor goes to the connection, and leaves this source's registration behind.
            StopWatching();
            Pass();
            _end.SetResult(new LoopConnection(Owner, Fd));
        }
    }

    private void Fail(Exception error)
    {
        if (End())
        {
            CloseLater();
            _end.SetException(error);
        }
    }

    private bool End()
    {
        if (_isOver)
        {
            return false;
        }
        _isOver = true;
        _registration.Unregister();
        return true;
    }
}
