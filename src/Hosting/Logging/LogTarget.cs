using System.Globalization;
using System.Text;

namespace Routing.Hosting.Logging;

/// <summary>Where lines are written to.</summary>
internal abstract class LogTarget
{
    private LogTarget()   // closed: both stand below
    {
    }

    /// <summary>Writes one line.</summary>
    public abstract void Write(string line);

    /// <summary>Hands what was written to the system.</summary>
    public abstract void Flush();

    /// <summary>Flushes and closes.</summary>
    public abstract void Close();

    /// <summary>Standard error.</summary>
    public sealed class Console(TextWriter writer) : LogTarget
    {
        public override void Write(string line) => writer.WriteLine(line);

        public override void Flush() => writer.Flush();

        public override void Close() => writer.Flush();
    }

    /// <summary>A file that is renamed to <c>NAME.1</c>, <c>NAME.2</c>… when it has reached its size.</summary>
    public sealed class RotatingFile : LogTarget
    {
        private readonly string _path;
        private readonly long _sizeLimit;
        private readonly int _kept;
        private readonly int? _mode;
        private FileStream? _file;

        /// <param name="path">The file.</param>
        /// <param name="sizeLimit">Bytes that it may have; 0: it is never put aside.</param>
        /// <param name="kept">Older files that are kept; 0: it is never put aside.</param>
        /// <param name="mode">Permission bits; null: by the umask.</param>
        /// <exception cref="IOException">It cannot be opened.</exception>
        public RotatingFile(string path, long sizeLimit, int kept, int? mode)
        {
            _path = path;
            _sizeLimit = sizeLimit;
            _kept = kept;
            _mode = mode;
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            _file = Open();
        }

        public override void Write(string line)
        {
            var bytes = Encoding.UTF8.GetBytes(line + "\n");
            var file = _file ??= Open();
            if (_sizeLimit > 0 && _kept > 0 && file.Length > 0 && file.Length + bytes.Length > _sizeLimit)
            {
                Rotate();
                file = _file ??= Open();
            }
            file.Write(bytes);
        }

        public override void Flush() => _file?.Flush();

        public override void Close()
        {
            _file?.Dispose();
            _file = null;
        }

        private void Rotate()
        {
            Close();
            for (var number = _kept - 1; number >= 1; number--)
            {
                if (File.Exists(Aside(number)))
                {
                    File.Move(Aside(number), Aside(number + 1), overwrite: true);
                }
            }
            File.Move(_path, Aside(1), overwrite: true);
        }

        private string Aside(int number) => string.Create(CultureInfo.InvariantCulture, $"{_path}.{number}");

        private FileStream Open()
        {
            var file = new FileStream(_path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
            if (_mode is { } mode && !OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(file.SafeFileHandle, (UnixFileMode)(mode & 0x1FF));
            }
            return file;
        }
    }
}
