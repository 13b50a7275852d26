using System.Diagnostics;

namespace Routing.TestKit;

/// <summary>The etcd that tests run with, and what differs by its version.</summary>
public static class EtcdUnderTest
{
    /// <summary>Its program.</summary>
    public const string Program = "etcd";

    /// <summary>Its version, such as 3.4.23.</summary>
    public static Version Version { get; } = ReadVersion();

    /// <summary>The path of its JSON gateway, without a slash at the end.</summary>
    public static string Gateway => Version < new Version(3, 4) ? "/v3beta" : "/v3";

    /// <summary>The arguments that let it write its log to the standard error.</summary>
    public static IReadOnlyList<string> LogArguments =>
        Version < new Version(3, 4) ? ["--log-output", "stderr"] : ["--logger", "zap", "--log-outputs", "stderr"];

    /// <summary>The arguments that let it hash passwords in milliseconds, where it can.</summary>
    public static IReadOnlyList<string> QuickPasswords =>
        Version < new Version(3, 4) ? [] : ["--bcrypt-cost", "4"];

    // "etcd Version: 3.4.23"
    private static Version ReadVersion()
    {
        var start = new ProcessStartInfo(Program, ["--version"]) { RedirectStandardOutput = true };
        using var etcd = Process.Start(start)
            ?? throw new InvalidOperationException($"{Program} was not started.");
        var text = etcd.StandardOutput.ReadToEnd();
        etcd.WaitForExit();
        var number = text.Split('\n')[0].Split(' ')[^1].Trim();
        return Version.Parse(string.Concat(number.TakeWhile(letter => letter == '.' || char.IsAsciiDigit(letter))));
    }
}
