using System.Runtime.InteropServices;

namespace Routing.Proxy.Transport.Loops;

/// <summary>
/// An io_uring of one thread, with a ring of buffers that the kernel receives into (man 7 io_uring; linux/io_uring.h).
/// </summary>
/// <remarks>Kernel 6.1 and later. Made by any thread, used by the one that calls <see cref="Enable"/>.</remarks>
internal sealed unsafe class Uring : IDisposable
{
    /// <summary>Size of one buffer, bytes.</summary>
    public const int BufferSize = 16 * 1024;

    /// <summary>Number of buffers, a power of two: as many messages may be under way in one turn of the loop.</summary>
    public const int Buffers = 256;

    private const int SystemSetup = 425, SystemEnter = 426, SystemRegister = 427;
    private const uint
        SetupCompletionSize = 1 << 3, SetupClamp = 1 << 4, SetupDisabled = 1 << 6, SetupSubmitAll =
            1 << 7, SetupSingleIssuer = 1 << 12,
        SetupDeferTaskRun = 1 << 13;
    private const uint FeatureSingleMap = 1 << 0, FeatureNoDrop = 1 << 1, FeatureExtendedArgument =
        1 << 8, FeatureLeastWait = 1 << 15;
    private const uint FlagOverflow = 1 << 1;
    private const int RegisterEnable = 12, RegisterBuffers = 22;
    private const uint EnterGetEvents = 1 << 0, EnterExtendedArgument = 1 << 3;
    private const nint OffsetOfEntries = 0x1000_0000;
    private const int ProtectReadWrite = 3, MapSharedPopulate = 0x8001, ETIME = 62;

    private const uint Entries = 1024;
    private const uint Completions = 4096;

    private readonly int _fd;
    private readonly Parameters _parameters;
    private readonly byte* _rings;
    private readonly nuint _ringsLength;
    private readonly Entry* _entries;
    private readonly BufferEntry* _bufferRing;
    private readonly byte* _buffers;
    private readonly uint* _submissionHead, _submissionTail, _submissionFlags, _completionHead, _completionTail;
    private readonly Completion* _completions;
    private readonly uint _submissionMask, _completionMask;
    private uint _tail;         // of the submissions, ours
    private uint _head;         // of the completions, ours
    private ushort _bufferTail;

    /// <summary>Makes it.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">
    /// The kernel has none, is too old, or does not allow it.
    /// </exception>
    public Uring()
    {
        var parameters = new Parameters
        {
            Flags = SetupCompletionSize | SetupClamp | SetupDisabled | SetupSubmitAll | SetupSingleIssuer
                | SetupDeferTaskRun,
            CompletionEntries = Completions,
        };
        _fd = (int)Check(Kernel.SystemCall(SystemSetup, (nint)Entries, (nint)(&parameters), 0, 0, 0, 0));
        _parameters = parameters;
        const uint Needed = FeatureSingleMap | FeatureNoDrop | FeatureExtendedArgument;
        if ((parameters.Features & Needed) != Needed)
        {
            _ = Kernel.Close(_fd);
            throw Kernel.Exception(Kernel.ENOSYS);
        }
        _ringsLength = Math.Max(
            parameters.Submission.Array + (parameters.SubmissionEntries * sizeof(uint)),
            parameters.Completion.Completions + (parameters.CompletionEntries * (uint)sizeof(Completion)));
        _rings = (byte*)Map(_ringsLength, 0);
        _entries = (Entry*)Map(parameters.SubmissionEntries * (nuint)sizeof(Entry), OffsetOfEntries);
        _submissionHead = At(parameters.Submission.Head);
        _submissionTail = At(parameters.Submission.Tail);
        _submissionFlags = At(parameters.Submission.Flags);
        _completionHead = At(parameters.Completion.Head);
        _completionTail = At(parameters.Completion.Tail);
        (_submissionMask, _completionMask) = (*At(parameters.Submission.Mask), *At(parameters.Completion.Mask));
        _completions = (Completion*)(_rings + parameters.Completion.Completions);
        var order = At(parameters.Submission.Array);
        for (var at = 0U; at < parameters.SubmissionEntries; at++)
        {
            order[at] = at;
        }
        _bufferRing = (BufferEntry*)NativeMemory.AlignedAlloc(Buffers * (nuint)sizeof(BufferEntry), 4096);
        NativeMemory.Clear(_bufferRing, Buffers * (nuint)sizeof(BufferEntry));
        _buffers = (byte*)NativeMemory.AlignedAlloc(Buffers * BufferSize, 4096);
        var registration = new BufferRegistration { Ring = (ulong)_bufferRing, Entries = Buffers };
        try
        {
            _ = Check(Kernel.SystemCall(SystemRegister, _fd, RegisterBuffers, (nint)(&registration), 1, 0, 0));
        }
        catch
        {
            Dispose();
            throw;
        }
        for (var id = 0; id < Buffers; id++)
        {
            GiveBack(id);
        }
        PublishBuffers();
    }

    /// <summary>There are completions for which there was no room; <see cref="Enter"/> brings them.</summary>
    public bool IsOverflowing => (Volatile.Read(ref *_submissionFlags) & FlagOverflow) != 0;

    /// <summary>Whether <see cref="Enter"/> can wait for several completions for a while: 6.12 and later.</summary>
    public bool HasLeastWait => (_parameters.Features & FeatureLeastWait) != 0;

    /// <summary>Lets the calling thread use it from now on, and no other.</summary>
    public void Enable() => _ = Check(Kernel.SystemCall(SystemRegister, _fd, RegisterEnable, 0, 0, 0, 0));

    /// <summary>An empty entry; submitted with the next <see cref="Enter"/>.</summary>
    public Entry* Next()
    {
        while (_tail - Volatile.Read(ref *_submissionHead) >= _parameters.SubmissionEntries)
        {
            Enter(TimeSpan.Zero);
        }
        var entry = &_entries[_tail++ & _submissionMask];
        *entry = default;
        return entry;
    }

    /// <summary>Submits, and waits for a completion.</summary>
    /// <param name="patience">
    /// How long to wait at most; zero: not at all; <see cref="Timeout.InfiniteTimeSpan"/>: for ever.
    /// </param>
    /// <param name="several">As many completions are waited for at first.</param>
    /// <param name="microseconds">
    /// For so long, then for one; 0: for one from the beginning. Where <see cref="HasLeastWait"/>.
    /// </param>
    public void Enter(TimeSpan patience, int several = 1, int microseconds = 0)
    {
        var isSeveral =
            microseconds > 0 && several > 1 && (patience < TimeSpan.Zero || patience.TotalMicroseconds > microseconds);
        Volatile.Write(ref *_submissionTail, _tail);
        var limit = new Kernel.TimeLimit(patience);
        var argument = new EnterArgument { Limit = patience > TimeSpan.Zero ? (ulong)&limit : 0,
            LeastWait = isSeveral ? (uint)microseconds : 0 };
        var result = Kernel.SystemCall(
            SystemEnter, _fd, (nint)(_tail - Volatile.Read(ref *_submissionHead)),
            patience == TimeSpan.Zero ? 0 : isSeveral ? several : 1,
            (nint)(EnterGetEvents | EnterExtendedArgument), (nint)(&argument), sizeof(EnterArgument));
        if (result < 0 && Kernel.Error is not (Kernel.EINTR or ETIME or Kernel.EAGAIN or Kernel.EBUSY))
        {
            throw Kernel.Exception(Kernel.Error);
        }
    }

    /// <summary>Takes the next completion.</summary>
    public bool TryTake(out Completion completion)
    {
        if (_head == Volatile.Read(ref *_completionTail))
        {
            completion = default;
            return false;
        }
        completion = _completions[_head++ & _completionMask];
        Volatile.Write(ref *_completionHead, _head);
        return true;
    }

    /// <summary>What the kernel received.</summary>
    public byte* BufferOf(int id) => _buffers + (id * (nint)BufferSize);

    /// <summary>Gives a buffer back; the kernel has it again after <see cref="PublishBuffers"/>.</summary>
    public void GiveBack(int id)
    {
        // Field by field: the last one of the first entry is the ring's tail.
        var entry = &_bufferRing[_bufferTail++ & (Buffers - 1)];
        entry->Address = (ulong)BufferOf(id);
        entry->Length = BufferSize;
        entry->Id = (ushort)id;
    }

    /// <summary>Shows the kernel the buffers that were given back.</summary>
    public void PublishBuffers() => Volatile.Write(ref _bufferRing->Tail, _bufferTail);

    /// <inheritdoc/>
    public void Dispose()
    {
        _ = Kernel.Close(_fd);
        _ = Kernel.Unmap(_rings, _ringsLength);
        _ = Kernel.Unmap(_entries, _parameters.SubmissionEntries * (nuint)sizeof(Entry));
        NativeMemory.AlignedFree(_bufferRing);
        NativeMemory.AlignedFree(_buffers);
    }

    private static nint Check(nint result) => result >= 0 ? result : throw Kernel.Exception(Kernel.Error);

    private void* Map(nuint length, nint offset)
    {
        var at = Kernel.Map(null, length, ProtectReadWrite, MapSharedPopulate, _fd, offset);
        return (nint)at != -1 ? at : throw Kernel.Exception(Kernel.Error);
    }

    private uint* At(uint offset) => (uint*)(_rings + offset);

    /// <summary>A completion: struct io_uring_cqe.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public readonly struct Completion
    {
        /// <summary>What the entry carried.</summary>
        public readonly ulong UserData;

        /// <summary>The result of the system call that it stands for; an error as a negative number.</summary>
        public readonly int Result;

        private readonly uint _flags;

        /// <summary>The buffer that holds what was received; null: none.</summary>
        public int? Buffer => (_flags & 1) != 0 ? (int)(_flags >> 16) : null;

        /// <summary>More completions of the same entry will come.</summary>
        public bool IsMore => (_flags & 2) != 0;
    }

    /// <summary>A request: struct io_uring_sqe.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Entry
    {
        public byte Operation, Flags;
        public ushort Priority;
        public int Fd;
        public ulong Offset, Address;
        public uint Length, OperationFlags;
        public ulong UserData;
        public ushort BufferGroup, Personality;
        public int FileIndex;
        public ulong Third, Pad;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Parameters
    {
        public uint SubmissionEntries, CompletionEntries, Flags, ThreadProcessor, ThreadIdle, Features, WorkQueue;
        public uint Reserved1, Reserved2, Reserved3;
        public SubmissionOffsets Submission;
        public CompletionOffsets Completion;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct SubmissionOffsets
    {
        public uint Head, Tail, Mask, Entries, Flags, Dropped, Array, Reserved;
        public ulong Address;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CompletionOffsets
    {
        public uint Head, Tail, Mask, Entries, Overflow, Completions, Flags, Reserved;
        public ulong Address;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct BufferEntry
    {
        public ulong Address;
        public uint Length;
        public ushort Id, Tail;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct BufferRegistration
    {
        public ulong Ring;
        public uint Entries;
        public ushort Group, Flags;
        public ulong Reserved1, Reserved2, Reserved3;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct EnterArgument
    {
        public ulong SignalMask;
        public uint SignalMaskSize, LeastWait;
        public ulong Limit;
    }
}
