using Xunit.Sdk;
using Xunit.v3;

// Tests that count the process's descriptors must not see those of others.
[assembly: Parallelization(Mode = ParallelMode.None)]
