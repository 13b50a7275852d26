using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Secrets;

/// <summary>
/// Holds what sessions have logged in with (keys, hashes, passwords): in memory of its own that the collector never
/// copies, that is left out of core dumps, and that is not swapped out where the limit of locked memory allows it. Any
/// thread.
/// </summary>
/// <param name="longest">The most bytes of a secret; a divisor of 4,096.</param>
internal sealed unsafe class KeyVault(int longest = Scram.KeyLength)
{
    private const int Page = 4096;
    private const int SystemLock = 149, SystemAdvise = 28, AdviceDoNotDump = 16;

    private readonly Lock _lock = new();
    private readonly Stack<nint> _free = [];

    /// <summary>Takes a copy of a secret.</summary>
    /// <returns>Its place; disposed of, the secret is zeroed.</returns>
    /// <exception cref="ArgumentOutOfRangeException">It is longer than any.</exception>
    public Key Keep(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(key.Length, longest);
        lock (_lock)
        {
            if (_free.Count == 0)
            {
                AddPage();
            }
            var at = _free.Pop();
            key.CopyTo(new Span<byte>((void*)at, longest));
            return new Key(this, at, key.Length);
        }
    }

    // Kept for good: what was locked once is used again.
    private void AddPage()
    {
        var page = (nint)NativeMemory.AlignedAlloc(Page, Page);
        new Span<byte>((void*)page, Page).Clear();
        _ = Kernel.SystemCall(SystemAdvise, page, Page, AdviceDoNotDump, 0, 0, 0);
        _ = Kernel.SystemCall(SystemLock, page, Page, 0, 0, 0, 0);   // refused: it may be swapped out, and that is all
        for (var place = (Page / longest) - 1; place >= 0; place--)
        {
            _free.Push(page + (place * longest));
        }
    }

    /// <summary>A secret that is held.</summary>
    internal sealed class Key(KeyVault vault, nint at, int length) : IDisposable
    {
        private nint _at = at;

        /// <summary>Its bytes.</summary>
        public int Length => length;

        /// <summary>Copies the secret.</summary>
        /// <returns>False: it is held no more.</returns>
        public bool TryCopyTo(Span<byte> to)
        {
            lock (vault._lock)
            {
                if (_at == 0)
                {
                    return false;
                }
                new ReadOnlySpan<byte>((void*)_at, length).CopyTo(to);
                return true;
            }
        }

        /// <summary>Zeroes the secret.</summary>
        public void Dispose()
        {
            lock (vault._lock)
            {
                if (_at == 0)
                {
                    return;
                }
                CryptographicOperations.ZeroMemory(new Span<byte>((void*)_at, length));
                vault._free.Push(_at);
                _at = 0;
            }
        }
    }
}
