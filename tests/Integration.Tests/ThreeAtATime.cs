using Xunit.Sdk;
using Xunit.v3;

// A cluster waits most of the time, for leases to end and servers to start: three of them share a small machine well.
[assembly: Parallelization(Mode = ParallelMode.Collections, MaxThreads = 3)]
[assembly: TestCollectionOrderer(typeof(Routing.TestKit.SharedFirst))]
[assembly: Trait("Category", "Integration")]
