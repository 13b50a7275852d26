namespace Routing.TestKit;

/// <summary>A directory of its own below /tmp, removed with everything in it at the end.</summary>
public sealed class TempDirectory : IDisposable
{
    /// <summary>Creates it.</summary>
    /// <param name="purpose">Part of its name, for people who look into /tmp.</param>
    public TempDirectory(string purpose = "test") =>
        Path = Directory.CreateTempSubdirectory($"routing-{purpose}-").FullName;

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
