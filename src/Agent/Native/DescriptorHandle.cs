using Microsoft.Win32.SafeHandles;

namespace Routing.Agent.Native;

/// <summary>A file descriptor that is closed once and never while a call uses it.</summary>
internal sealed class DescriptorHandle : SafeHandleMinusOneIsInvalid
{
    public DescriptorHandle(int descriptor) : base(ownsHandle: true) => SetHandle(descriptor);

    protected override bool ReleaseHandle() => Libc.close((int)handle) == 0;

    /// <summary>Runs <paramref name="call"/> with the descriptor kept open meanwhile.</summary>
    /// <exception cref="ObjectDisposedException">The descriptor is closed already.</exception>
    public TResult Use<TArgument, TResult>(TArgument argument, Func<int, TArgument, TResult> call)
    {
        var added = false;
        try
        {
            DangerousAddRef(ref added);
            return call((int)handle, argument);
        }
        finally
        {
            if (added)
            {
                DangerousRelease();
            }
        }
    }
}
