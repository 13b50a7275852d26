using System.Runtime.InteropServices;

namespace Routing.Proxy.Host;

/// <summary>How many files and sockets this process may have open.</summary>
internal static unsafe partial class DescriptorLimit
{
    private const int OpenFiles = 7;   // RLIMIT_NOFILE

    /// <summary>Raises the limit as far as it goes without privilege.</summary>
    /// <returns>The limit in force.</returns>
    public static long Raise()
    {
        var limit = default(Limit);
        if (Get(OpenFiles, &limit) != 0)
        {
            return 1024;
        }
        if (limit.Soft < limit.Hard)
        {
            var wanted = new Limit { Soft = limit.Hard, Hard = limit.Hard };
            if (Set(OpenFiles, &wanted) == 0)
            {
                return (long)Math.Min(wanted.Soft, int.MaxValue);
            }
        }
        return (long)Math.Min(limit.Soft, int.MaxValue);
    }

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    private static partial int Get(int resource, Limit* limit);

    [LibraryImport("libc", EntryPoint = "setrlimit", SetLastError = true)]
    private static partial int Set(int resource, Limit* limit);

    private struct Limit
    {
        public nuint Soft;
        public nuint Hard;
    }
}
