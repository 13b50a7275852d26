namespace Routing.Cluster.HostChoice;

/// <summary>What the caller knows of a member beyond its key.</summary>
/// <param name="Busy">Connections and attempts that it has from here now.</param>
/// <param name="IsOut">It failed here lately: used only when no other member fits.</param>
/// <param name="IsRefused">
/// It must not be used at all at this term (it said that it is a standby where it should lead).
/// </param>
/// <param name="Weight">1: full; less while it warms up (slow start): counts as busier by 1 / weight.</param>
public readonly record struct HostLoad(int Busy, bool IsOut, bool IsRefused, double Weight = 1);

/// <summary>
/// What a caller knows of the members of a <see cref="HostSet"/>; a struct, so that a pick allocates nothing.
/// </summary>
public interface IHostLoads
{
    /// <summary>The load of the member at this place of <see cref="HostSet.Members"/>.</summary>
    HostLoad this[int index] { get; }
}
