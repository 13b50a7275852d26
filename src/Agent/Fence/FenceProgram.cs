using System.Text;
using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>
/// The fence: a process of its own that ends PostgreSQL when the agent has not extended the deadline in time. One
/// thread, no allocation after the start, asleep except once a second and at the deadline.
/// </summary>
internal static class FenceProgram
{
    public const string Option = "--fence";

    private const int LockTries = 100, LockTryMs = 20;

    /// <summary>Runs the fence to its end: <c>--fence STATE-FILE</c>.</summary>
    public static int Run(ReadOnlySpan<string> args)
    {
        if (args is not [Option, var path])
        {
            Console.Error.WriteLine("The fence is started by the agent: --fence STATE-FILE");
            return 2;
        }

        var page = FencePage.OpenForFence(path);
        if (page is null)
        {
            Console.Error.WriteLine($"fence: {path} is not a state file of this version");
            return 2;
        }

        if (!TryLock(page))
        {
            Console.Error.WriteLine($"fence: another fence uses {path}");
            return 3;
        }

        page.FenceIsLocked = FenceHardening.Apply();
        var loop = new FenceLoop(page, Encoding.UTF8.GetBytes(path + '\0'));
        var code = loop.Run();
        if (loop.LeavesNothing)
        {
            FenceDirectory.Remove(path);
        }

        return code;
    }

    /// <summary>Patient for a moment: a predecessor that was just killed may not be quite gone.</summary>
    private static unsafe bool TryLock(FencePage page)
    {
        for (var i = 0; i < LockTries; i++)
        {
            if (page.TryLock())
            {
                return true;
            }

            _ = Libc.poll(null, 0, LockTryMs);
        }

        return false;
    }
}
