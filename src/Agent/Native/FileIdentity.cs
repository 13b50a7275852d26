using System.Text;

namespace Routing.Agent.Native;

/// <summary>
/// Which file or directory it is, however its path reads: paths differ between mount namespaces, and lead to other
/// files tomorrow.
/// </summary>
/// <param name="Device">The file system.</param>
/// <param name="Inode">The file within it.</param>
internal readonly record struct FileIdentity(ulong Device, ulong Inode)
{
    private const uint BasicStats = 0x7FF;

    /// <summary>What the path leads to, across symbolic links; null when that cannot be told.</summary>
    public static unsafe FileIdentity? Of(string path)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return Of(name);
        }
    }

    /// <summary>The identity of the file at a path that ends with a zero byte. Allocates nothing.</summary>
    public static unsafe FileIdentity? Of(byte* path)
    {
        Libc.Statx stat;
        return Libc.statx(Libc.AT_FDCWD, path, 0, BasicStats, &stat) == 0
            ? new FileIdentity(((ulong)stat.DeviceMajor << 32) | stat.DeviceMinor, stat.Inode)
            : null;
    }
}
