using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Secrets;

/// <summary>
/// Holds the client keys of sessions: in memory of its own that the collector never copies, that is left out of core
/// dumps, and that is not swapped out where the limit of locked memory allows it. Any thread.
/// </summary>
internal sealed unsafe class KeyVault
{
    private const int Page = 4096, KeysPerPage = Page / Scram.KeyLength;
    private const int SystemLock = 149, SystemAdvise = 28, AdviceDoNotDump = 16;

    private readonly Lock _lock = new();
    private readonly Stack<nint> _free = [];

    /// <summary>Takes a copy of a key.</summary>
    /// <returns>Its place; disposed of, the key is zeroed.</returns>
    public Key Keep(ReadOnlySpan<byte> key)
    {
        lock (_lock)
        {
            if (_free.Count == 0)
            {
                AddPage();
            }
            var at = _free.Pop();
            key.CopyTo(new Span<byte>((void*)at, Scram.KeyLength));
            return new Key(this, at);
        }
    }

    // Kept for good: what was locked once is used again.
    private void AddPage()
    {
        var page = (nint)NativeMemory.AlignedAlloc(Page, Page);
        new Span<byte>((void*)page, Page).Clear();
        _ = Kernel.SystemCall(SystemAdvise, page, Page, AdviceDoNotDump, 0, 0, 0);
        _ = Kernel.SystemCall(SystemLock, page, Page, 0, 0, 0, 0);   // refused: it may be swapped out, and that is all
        for (var place = KeysPerPage - 1; place >= 0; place--)
        {
            _free.Push(page + (place * Scram.KeyLength));
        }
    }

    /// <summary>A key that is held.</summary>
    internal sealed class Key(KeyVault vault, nint at) : IDisposable
    {
        private nint _at = at;

        /// <summary>Copies the key.</summary>
        /// <returns>False: it is held no more.</returns>
        public bool TryCopyTo(Span<byte> to)
        {
            lock (vault._lock)
            {
                if (_at == 0)
                {
                    return false;
                }
                new ReadOnlySpan<byte>((void*)_at, Scram.KeyLength).CopyTo(to);
                return true;
            }
        }

        /// <summary>Zeroes the key.</summary>
        public void Dispose()
        {
            lock (vault._lock)
            {
                if (_at == 0)
                {
                    return;
                }
                CryptographicOperations.ZeroMemory(new Span<byte>((void*)_at, Scram.KeyLength));
                vault._free.Push(_at);
                _at = 0;
            }
        }
    }
}
