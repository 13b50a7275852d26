namespace Routing.Cluster;

/// <summary>One life of the store: it begins when etcd is set up anew, or restored from a snapshot.</summary>
/// <remarks>
/// Revisions of two lives say nothing about each other. What a restored store holds is what was true when the snapshot
/// was taken, its leases included: a leader key that came back names a leader of that time.
/// </remarks>
/// <param name="Number">How many earlier lives this process has seen; 0 in the one that it began with.</param>
/// <param name="From">
/// The revision at which this process first saw this life: what was written up to it may have come back with a
/// snapshot. 0 in the life that the process began with, where every key counts as it stands.
/// </param>
public readonly record struct StoreLife(int Number, long From)
{
    /// <summary>Whether a key that was written last at this revision was surely written in this life.</summary>
    public bool HasWritten(long modRevision) => modRevision > From;
}
