namespace Routing.Agent.Rest;

/// <summary>A file that the program carries in itself.</summary>
internal static class EmbeddedFile
{
    /// <summary>Reads one.</summary>
    /// <param name="name">Its name in the program, as the project file gives it.</param>
    /// <exception cref="InvalidOperationException">The program was built without it.</exception>
    public static byte[] Read(string name)
    {
        using var file = typeof(EmbeddedFile).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The program was built without its file {name}.");
        var content = new byte[file.Length];
        file.ReadExactly(content);
        return content;
    }
}
