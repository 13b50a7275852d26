using Xunit.Sdk;
using Xunit.v3;

// Times are looked at, and a cluster of real servers shares the machine: one test after the other.
[assembly: Parallelization(Mode = ParallelMode.None)]
