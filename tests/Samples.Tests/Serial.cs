using Xunit.Sdk;
using Xunit.v3;

// All share one cluster.
[assembly: Parallelization(Mode = ParallelMode.None)]
[assembly: Trait("Category", "Integration")]
