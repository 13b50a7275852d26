using System.Buffers.Text;
using Microsoft.Win32.SafeHandles;

namespace Routing.Proxy.Transport.Loops;

/// <summary>
/// How long a thread waits for a processor, and how long its messages may therefore wait for each other.
/// </summary>
/// <remarks>
/// Where processors are short a loop that has been woken waits for its turn anyway. To sleep for half as long
/// beforehand makes that little worse and lets more messages come together, and a program that is not interrupted for
/// each of them is done sooner. Where there is a free processor nothing waits. The kernel tells by
/// <c>/proc/thread-self/schedstat</c>: nanoseconds run, nanoseconds waited for a processor, how often
/// (Documentation/scheduler/sched-stats); a kernel that keeps no such account says 0. On the thread alone.
/// </remarks>
internal sealed class RunQueue(TimeProvider time) : IDisposable
{
    /// <summary>No message waits longer for others, microseconds.</summary>
    public const int LongestWait = 200;

    /// <summary>Less is not worth a timer, microseconds.</summary>
    private const int ShortestWait = 10;

    /// <summary>Processors are short when the thread waits for one for this part of the time.</summary>
    private const double Short = 0.25;

    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(20);

    private SafeFileHandle? _account = Open();
    private long _at = time.GetTimestamp();
    private (long Nanoseconds, long Times) _seen;

    /// <summary>How long a message may wait for others at present, microseconds; 0: not at all.</summary>
    public int Wait { get; private set; }

    /// <summary>Looks whether that has changed, when it is time to.</summary>
    public void Look(long now)
    {
        var elapsed = time.GetElapsedTime(_at, now);
        if (elapsed >= s_interval && _account is { } account)
        {
            var read = Read(account);
            Wait = WaitFor(elapsed, read.Nanoseconds - _seen.Nanoseconds, read.Times - _seen.Times);
            (_at, _seen) = (now, read);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _account?.Dispose();

    /// <summary>The rule.</summary>
    /// <param name="elapsed">A time.</param>
    /// <param name="nanoseconds">For so much of it the thread could have run and had no processor.</param>
    /// <param name="times">So often it was given one.</param>
    /// <returns>Microseconds.</returns>
    internal static int WaitFor(TimeSpan elapsed, long nanoseconds, long times)
    {
        if (times <= 0 || nanoseconds < elapsed.TotalNanoseconds * Short)
        {
            return 0;
        }
        var half = nanoseconds / times / 2 / 1000;
        return half < ShortestWait ? 0 : (int)Math.Min(half, LongestWait);
    }

    /// <summary>The second and third number of a line of three.</summary>
    internal static (long Nanoseconds, long Times) Read(ReadOnlySpan<byte> line)
    {
        Span<long> numbers = stackalloc long[3];
        foreach (ref var number in numbers)
        {
            if (!Utf8Parser.TryParse(line, out number, out var length))
            {
                return default;
            }
            line = line[Math.Min(length + 1, line.Length)..];
        }
        return (numbers[1], numbers[2]);
    }

    private (long Nanoseconds, long Times) Read(SafeFileHandle account)
    {
        Span<byte> text = stackalloc byte[96];
        try
        {
            return Read(text[..RandomAccess.Read(account, text, 0)]);
        }
        catch (IOException)
        {
            account.Dispose();
            _account = null;   // no message waits any more
            return _seen;
        }
    }

    private static SafeFileHandle? Open()
    {
        try
        {
            return File.OpenHandle("/proc/thread-self/schedstat");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;   // a kernel without, or a /proc that hides it: no message waits
        }
    }
}
