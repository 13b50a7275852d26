using Routing.TestKit;
using Xunit.Runner.InProc.SystemConsole;

namespace Routing.Faults.Tests;

/// <summary>
/// Runs the tests in namespaces of their own, where the system allows it; what needs them says so where it does not.
/// </summary>
internal static class Program
{
    public static Task<int> Main(string[] arguments)
    {
        NamespaceLab.Enter(arguments);
        if (NamespaceLab.WhyNot is { } reason)
        {
            Console.Error.WriteLine(
                $"No network namespaces here ({reason}): drills run behind forwarders, those that need a disk not at "
                    + "all.");
        }
        return ConsoleRunner.Run(arguments);
    }
}
