using Xunit.Sdk;
using Xunit.v3;

// Each class starts a cluster of its own: two at a time would only slow each other down.
[assembly: Parallelization(Mode = ParallelMode.None)]
[assembly: Trait("Category", "Integration")]
