using Xunit.Sdk;
using Xunit.v3;

namespace Routing.TestKit;

/// <summary>
/// Begins with the collections that were defined as such: many tests share a cluster in each of them, so that they take
/// longest, and whatever begins last should be short.
/// </summary>
public sealed class SharedFirst : ITestCollectionOrderer
{
    /// <inheritdoc/>
    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(
        IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [.. testCollections
            .OrderBy(collection => collection.TestCollectionClassName is null)
            .ThenBy(collection => collection.TestCollectionDisplayName, StringComparer.Ordinal)];
}
