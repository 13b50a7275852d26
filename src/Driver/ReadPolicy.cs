namespace Routing.Driver;

/// <summary>How a member is picked among those that fit equally.</summary>
public enum ReadPolicy
{
    /// <summary>The fewest connections that this process has in use there; at equality, by turns.</summary>
    LeastBusy,

    /// <summary>By turns.</summary>
    RoundRobin,

    /// <summary>The less busy of two that were drawn.</summary>
    RandomOfTwo,
}
