namespace Routing.Proxy.Tls;

/// <summary>
/// Something that is made from files and made again when they change; swapped whole, so that its users need no lock.
/// </summary>
/// <param name="files">The files; those that are null are left out.</param>
/// <param name="read">Makes it; throws <see cref="IOException"/> when a file is no good.</param>
internal sealed class FileBacked<T>(IReadOnlyList<string?> files, Func<T> read)
    where T : class
{
    private volatile T _value = read();
    private DateTime[] _stamps = Stamps(files);

    /// <summary>The value that was made of the last good files.</summary>
    public T Value => _value;

    /// <summary>Reads the files again if one of them has changed. One caller at a time.</summary>
    /// <returns>Whether it did.</returns>
    /// <exception cref="IOException">
    /// A file is no good: what there was stays in use, and the next call tries again.
    /// </exception>
    public bool Refresh()
    {
        var stamps = Stamps(files);
        if (stamps.AsSpan().SequenceEqual(_stamps))
        {
            return false;
        }
        _value = read();
        _stamps = stamps;
        return true;
    }

    private static DateTime[] Stamps(IReadOnlyList<string?> files) =>
        [.. files.Where(file => file is not null).Select(file => Stamp(file!))];

    // Of what a link leads to: secrets are often mounted as links whose target is exchanged.
    private static DateTime Stamp(string file) =>
        File.Exists(file) && File.ResolveLinkTarget(file, returnFinalTarget: true) is { } target
            ? target.LastWriteTimeUtc : File.GetLastWriteTimeUtc(file);
}
