using System.Runtime.InteropServices;
using System.Text;
using Routing.Agent.Native;

namespace Routing.Agent.Watchdog;

/// <summary>A device as the kernel offers it (Documentation/watchdog/watchdog-api.rst).</summary>
internal sealed unsafe class LinuxWatchdogDevice : IWatchdogDevice
{
    // _IOR('W', 0, struct watchdog_info), _IOWR('W', 6, int), _IOR('W', 7, int): alike on x86 and ARM.
    private const nuint GetSupport = 0x80285700, SetTimeout = 0xC0045706, GetTimeout = 0x80045707;
    private const uint OptionSetTimeout = 0x80, OptionMagicClose = 0x100;

    private readonly string _path;
    private readonly int _descriptor;
    private bool _isClosed;

    /// <exception cref="IOException">No such device, no permission, or another program has it.</exception>
    public LinuxWatchdogDevice(string path)
    {
        _path = path;
        // Not blocking: a named pipe that nobody reads would hold us up for ever.
        _descriptor = Libc.open(path, Libc.O_WRONLY | Libc.O_CLOEXEC | Libc.O_NONBLOCK, 0);
        if (_descriptor < 0)
        {
            throw Libc.Failure($"opening {path}", Marshal.GetLastPInvokeError());
        }
    }

    public WatchdogSupport Support
    {
        get
        {
            Info info;
            Control(GetSupport, &info, "asking for its abilities");
            var identity = new ReadOnlySpan<byte>(info.Identity, Info.IdentityBytes);
            var end = identity.IndexOf((byte)0);
            return new WatchdogSupport(
                Encoding.ASCII.GetString(end < 0 ? identity : identity[..end]),
                (info.Options & OptionSetTimeout) != 0,
                (info.Options & OptionMagicClose) != 0);
        }
    }

    public int TimeoutSeconds
    {
        get
        {
            int seconds;
            Control(GetTimeout, &seconds, "asking for its timeout");
            return seconds;
        }
        set => Control(SetTimeout, &value, $"setting its timeout to {value} s");
    }

    public void Write(byte value)
    {
        if (Libc.write(_descriptor, &value, 1) != 1)
        {
            throw Libc.Failure($"writing to {_path}", Marshal.GetLastPInvokeError());
        }
    }

    public void Dispose()
    {
        if (!_isClosed)
        {
            _isClosed = true;
            _ = Libc.close(_descriptor);
        }
    }

    private void Control(nuint request, void* argument, string what)
    {
        if (Libc.ioctl(_descriptor, request, argument) != 0)
        {
            throw Libc.Failure($"{_path}: {what}", Marshal.GetLastPInvokeError());
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Info
    {
        public const int IdentityBytes = 32;

        public uint Options;
        public uint FirmwareVersion;
        public fixed byte Identity[IdentityBytes];
    }
}
