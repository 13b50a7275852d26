using System.Runtime.InteropServices;

namespace Routing.TestKit;

/// <summary>
/// Lays the privileges of root down for the whole test process: PostgreSQL refuses to run as root, and the agent is
/// never root either. Hang it on a test assembly: <c>[assembly: AssemblyFixture(typeof(OrdinaryUser))]</c>; it is made
/// before the first test. Processes that the tests start inherit the user. Started by an ordinary user, it does
/// nothing.
/// </summary>
public sealed class OrdinaryUser
{
    private const string Name = "postgres";
    private const int Dumpable = 4;   // PR_SET_DUMPABLE

    /// <summary>Becomes the user postgres when it is root.</summary>
    public OrdinaryUser()
    {
        if (geteuid() != 0)
        {
            return;
        }
        var fields =
            File.ReadLines("/etc/passwd").Select(line => line.Split(':')).FirstOrDefault(line => line[0] == Name)
            ?? throw new InvalidOperationException(
                $"There is no user {Name}: install PostgreSQL, or run the tests as an ordinary user.");
        var (user, group) = (uint.Parse(fields[2], null), uint.Parse(fields[3], null));
        // glibc does this for every thread of the process at once (see nptl(7)).
        Check(initgroups(Name, group));
        Check(setgid(group));
        Check(setuid(user));
        // A process that changed its user may not look into its own /proc any more, unless it asks to.
        Check(prctl(Dumpable, 1, 0, 0, 0));
        Environment.SetEnvironmentVariable("HOME", fields[5]);
        Environment.SetEnvironmentVariable("USER", Name);
        Environment.CurrentDirectory = Path.GetTempPath();
    }

    private static void Check(int result)
    {
        if (result != 0)
        {
            throw new InvalidOperationException(
                $"Could not become the user {Name}: error {Marshal.GetLastPInvokeError()}.");
        }
    }

    [DllImport("libc")]
    private static extern uint geteuid();

    [DllImport("libc", SetLastError = true)]
    private static extern int initgroups([MarshalAs(UnmanagedType.LPUTF8Str)] string name, uint group);

    [DllImport("libc", SetLastError = true)]
    private static extern int setgid(uint group);

    [DllImport("libc", SetLastError = true)]
    private static extern int setuid(uint user);

    [DllImport("libc", SetLastError = true)]
    private static extern int prctl(int option, nuint a, nuint b, nuint c, nuint d);
}
