using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>
/// A <c>pg_rewind</c> that dies in its middle when it was ordered to, and then hangs until its node is killed.
/// </summary>
internal static class BrokenRewind
{
    /// <summary>Makes it the node's <c>pg_rewind</c>.</summary>
    public static string Install(TestNode node, string folder) => node.WriteProgram("pg_rewind.sh", $"""
        if [ -e {OrderOf(node)} ]; then
            {folder}/pg_rewind "$@" &
            sleep 0.0$(( $$ % 9 + 1 ))
            kill -9 $!
            rm {OrderOf(node)}
            exec sleep 1000
        fi
        exec {folder}/pg_rewind "$@"

        """);

    public static void Order(TestNode node) => File.WriteAllText(OrderOf(node), "");

    public static bool HasHappened(TestNode node) => !File.Exists(OrderOf(node));

    private static string OrderOf(TestNode node) => Path.Combine(node.DirectoryPath, "break-the-rewind");
}
