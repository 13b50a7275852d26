namespace Routing.Driver.Members;

/// <summary>What the connections of a pool are for.</summary>
internal enum PoolPurpose
{
    /// <summary>The server must accept writes: one in recovery is refused at login.</summary>
    Write,

    /// <summary>Any role will do.</summary>
    Read,
}
