using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Routing.TestKit;

/// <summary>
/// Namespaces for network and mounts that this test process and all that it starts have for themselves.
/// </summary>
/// <remarks>
/// Inside, the process may make interfaces, network namespaces and mounts, by a user namespace when it is not root;
/// outside nothing of it is seen, and all of it ends with the last process. Network traffic cannot leave: the namespace
/// has no interface that leads out.
/// </remarks>
public static class NamespaceLab
{
    private const string Mark = "ROUTING_TEST_NAMESPACES";
    private const string Inside = "inside";
    private const string Prepare =
        $"ip link set lo up && mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link add {Bridge} type bridge"
        + $" && ip addr add {OwnAddress}/24 dev {Bridge} && ip link set {Bridge} up";
    internal const string Bridge = "lab";
    internal const string OwnAddress = "10.77.0.254";

    /// <summary>Whether this process has namespaces of its own.</summary>
    public static bool IsInside => Environment.GetEnvironmentVariable(Mark) == Inside;

    /// <summary>Why it has none; null when it has, or never tried.</summary>
    public static string? WhyNot { get; private set; }

    /// <summary>
    /// Replaces this process by the same program in namespaces of its own; comes back when the system does not allow
    /// it.
    /// </summary>
    /// <remarks>The variable ROUTING_TEST_NAMESPACES=no keeps it out.</remarks>
    /// <param name="arguments">The program's arguments.</param>
    public static void Enter(string[] arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        if (IsInside)
        {
            return;
        }
        if (Environment.GetEnvironmentVariable(Mark) is { Length: > 0 } no)
        {
            WhyNot = $"{Mark}={no}";
            return;
        }
        string[] asUser = Environment.IsPrivilegedProcess ? [] : ["--user", "--map-current-user", "--keep-caps"];
        string[] unshare = ["unshare", "--net", "--mount", .. asUser];
        try
        {
            Run([.. unshare, "sh", "-c", Prepare]);
        }
        catch (Exception refused) when (refused is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            WhyNot = refused.Message;
            return;
        }
        var program = Environment.ProcessPath ?? throw new InvalidOperationException("This program's path is unknown.");
        // Started as "dotnet X.dll", the program is dotnet.
        string[] self = Path.GetFileNameWithoutExtension(program) == "dotnet"
            ? [program, Environment.GetCommandLineArgs()[0]]
            : [program];
        string[] prepared = ["env", $"{Mark}={Inside}", "sh", "-c", $"{Prepare} && exec \"$@\"", "sh"];
        _ = execvp("unshare", [.. unshare, .. prepared, .. self, .. arguments, null]);
        throw new InvalidOperationException($"unshare: error {Marshal.GetLastPInvokeError()}.");
    }

    /// <summary>Runs a program to its end.</summary>
    /// <exception cref="InvalidOperationException">Its exit code is not 0.</exception>
    internal static void Run(params string[] command)
    {
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true };
        using var process = Process.Start(start)
            ?? throw new InvalidOperationException($"{command[0]} was not started.");
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException(
                $"{string.Join(' ', command)}: exit code {process.ExitCode}: {errors.Trim()}");
        }
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int execvp([MarshalAs(UnmanagedType.LPUTF8Str)] string file, string?[] arguments);
}
