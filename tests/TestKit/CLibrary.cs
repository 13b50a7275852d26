using System.Reflection;
using System.Runtime.InteropServices;

namespace Routing.TestKit;

/// <summary>What our programs call of glibc by name: a function that is missing fails only once it is called.</summary>
public static class CLibrary
{
    private static readonly Version s_newest = new(2, 60);

    /// <summary>The functions that an assembly calls and that a version of glibc does not have.</summary>
    /// <param name="assembly">Its native calls are looked at, by the names that they have in the library.</param>
    /// <param name="version">The oldest glibc that has to do.</param>
    /// <returns>
    /// One line for each function that came later, was moved into <c>libc.so.6</c> later, or does not exist here.
    /// </returns>
    public static IReadOnlyList<string> NewerThan(Assembly assembly, Version version)
    {
        var library = NativeLibrary.Load("libc.so.6");
        return
        [
            .. Calls(assembly).Distinct().Order(StringComparer.Ordinal)
                .Select(name => Complaint(library, name, version)).OfType<string>(),
        ];
    }

    private static IEnumerable<string> Calls(Assembly assembly) =>
        from type in assembly.GetTypes()
        from method in type.GetMethods(
            BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
        where method.GetCustomAttribute<DllImportAttribute>() is { Value: "libc" }
        select method.GetCustomAttribute<DllImportAttribute>()!.EntryPoint ?? method.Name;

    private static string? Complaint(nint library, string name, Version version)
    {
        if (!NativeLibrary.TryGetExport(library, name, out _))
        {
            return $"{name} is not in this libc.so.6";
        }

        // A function that was moved into the library keeps its old version there, and has a new one besides.
        for (var later = Next(version); later <= s_newest; later = Next(later))
        {
            if (dlvsym(library, name, $"GLIBC_{later}") != 0)
            {
                return $"{name} needs glibc {later}";
            }
        }

        return null;
    }

    private static Version Next(Version version) => new(version.Major, version.Minor + 1);

    [DllImport("libdl.so.2", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    private static extern nint dlvsym(nint library, string name, string version);
}
