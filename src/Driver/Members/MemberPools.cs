using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Npgsql;
using Routing.Cluster;

namespace Routing.Driver.Members;

/// <summary>The pools of all members; made when first needed.</summary>
internal sealed class MemberPools(MemberPoolFactory factory, TypeChanges types) : IDisposable
{
    private readonly ConcurrentDictionary<(string Member, HostPort Address, PoolPurpose Purpose), MemberPool> _pools =
        new();
    // No name that could be one of a host: what is opened there fails at once, and the message says why.
    private readonly Lazy<MemberPool> _nobody = new(
        () => factory.Create("nobody", new HostPort("/no-member-is-known-yet", 5432), PoolPurpose.Read,
            new TypeChanges()));
    private volatile bool _isDisposed;

    public IEnumerable<MemberPool> All => _pools.Values;

    /// <summary>A pool for closed connections while no member is known.</summary>
    public MemberPool Nobody => _nobody.Value;

    /// <summary>The pool of a member, for one purpose.</summary>
    /// <exception cref="ObjectDisposedException">All are closed.</exception>
    public MemberPool this[string member, HostPort address, PoolPurpose purpose]
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isDisposed, typeof(RoutingDataSource));
            var key = (member, address, purpose);
            if (_pools.TryGetValue(key, out var pool))
            {
                return pool;
            }
            var made = factory.Create(member, address, purpose, types);
            pool = _pools.GetOrAdd(key, made);
            if (!ReferenceEquals(pool, made))
            {
                made.Dispose();   // another caller has added one; this one has opened nothing
            }
            if (_isDisposed)
            {
                pool.Dispose();   // all pools were closed while this one was made
                throw new ObjectDisposedException(typeof(RoutingDataSource).FullName);
            }
            return pool;
        }
    }

    /// <summary>
    /// The pool that a connection came from, by its address: connections carry no note, as a note would cost an
    /// allocation each.
    /// </summary>
    public bool TryFind(NpgsqlConnection connection, [NotNullWhen(true)] out MemberPool? pool, PoolPurpose purpose)
    {
        pool = _pools.Values.FirstOrDefault(one =>
            one.Purpose == purpose && one.Address.Port == connection.Port && one.Address.Host == connection.Host);
        return pool is not null;
    }

    /// <summary>Closes the pools of members that are not there any more, or are elsewhere.</summary>
    /// <returns>What was closed.</returns>
    public IReadOnlyList<MemberPool> RetireAllBut(Func<string, HostPort?> addressOf)
    {
        var gone =
            _pools.Where(one => addressOf(one.Key.Member) is not { } address || address != one.Key.Address).ToList();
        foreach (var (key, pool) in gone)
        {
            _pools.TryRemove(key, out _);
            pool.Dispose();
        }
        return [.. gone.Select(one => one.Value)];
    }

    public void Dispose()
    {
        _isDisposed = true;
        foreach (var pool in _pools.Values)
        {
            pool.Dispose();
        }
        if (_nobody.IsValueCreated)
        {
            _nobody.Value.Dispose();
        }
    }
}
