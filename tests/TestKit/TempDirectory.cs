namespace Routing.TestKit;

/// <summary>A directory of its own below /tmp, removed with everything in it at the end.</summary>
public sealed class TempDirectory : IDisposable
{
    private const string Memory = "/dev/shm";
    private const long LeastMemory = 4L << 30;

    /// <summary>Creates it.</summary>
    /// <param name="purpose">Part of its name, for people who look into /tmp.</param>
    public TempDirectory(string purpose = "test") =>
        Path = Directory.CreateTempSubdirectory($"routing-{purpose}-").FullName;

    private TempDirectory(string parent, string purpose) =>
        Path = Directory.CreateDirectory(
            System.IO.Path.Combine(parent, $"routing-{purpose}-{Guid.NewGuid():N}"),
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;

    /// <summary>
    /// Creates one in memory where /dev/shm has 4 GiB free, else below /tmp: for what waits for the disk at each write
    /// though no test is about that. A busy disk would hold it up for longer than a lease lasts.
    /// </summary>
    public static TempDirectory InMemory(string purpose) =>
        Directory.Exists(Memory) && new DriveInfo(Memory).AvailableFreeSpace >= LeastMemory
            ? new(Memory, purpose)
            : new(purpose);

    /// <summary>The directory.</summary>
    public string Path { get; }

    /// <summary>A path below it.</summary>
    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Directory.Exists(Path))
        {
            Directory.Delete(Path, recursive: true);
        }
    }
}
