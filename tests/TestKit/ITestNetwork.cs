namespace Routing.TestKit;

/// <summary>A network of machines that a test can cut in one direction between any two of them.</summary>
/// <remarks>
/// What is cut vanishes without an answer, as by a pulled cable. The test itself reaches every machine at all times.
/// </remarks>
public interface ITestNetwork : IAsyncDisposable
{
    /// <summary>How the machines are made, in words for a report.</summary>
    string Kind { get; }

    /// <summary>Whether <see cref="MountDisk"/> works.</summary>
    bool HasDisks { get; }

    /// <summary>Adds a machine.</summary>
    /// <param name="name">Its name; one machine has it.</param>
    TestMachine Add(string name);

    /// <summary>Removes a machine on which nothing runs any more.</summary>
    void Remove(TestMachine machine);

    /// <summary>Where others reach a port of a machine, as <c>host:port</c>.</summary>
    string Front(TestMachine machine, int port);

    /// <summary>From now on what a machine sends to another one is lost, also on connections that are open.</summary>
    void Cut(TestMachine from, TestMachine to);

    /// <summary>Ends all cuts.</summary>
    void Heal();

    /// <summary>Puts an empty file system of its own size on a directory.</summary>
    /// <exception cref="NotSupportedException"><see cref="HasDisks"/> is false.</exception>
    void MountDisk(string directory, int megabytes);

    /// <summary>Takes a file system away, whatever uses it.</summary>
    void UnmountDisk(string directory);
}
