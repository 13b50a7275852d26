using System.Globalization;
using System.Text;
using Npgsql;

namespace Routing.Driver;

/// <summary>
/// No connection could be had in time: the message says what was tried, where, and what the topology said.
/// </summary>
/// <remarks>Transient: retry strategies that ask <see cref="NpgsqlException.IsTransient"/> repeat it.</remarks>
public sealed class NoHostException : NpgsqlException
{
    private const int MostShown = 6;

    internal NoHostException(
        string message, IReadOnlyList<OpenAttempt> attempts, ClusterTopology topology, Exception? innerException)
        : base(message, innerException)
    {
        Attempts = attempts;
        Topology = topology;
    }

    /// <summary>What was tried, in order.</summary>
    public IReadOnlyList<OpenAttempt> Attempts { get; }

    /// <summary>What was known of the cluster at the end.</summary>
    public ClusterTopology Topology { get; }

    /// <inheritdoc/>
    public override bool IsTransient => true;

    internal static NoHostException After(
        TimeSpan elapsed, string wanted, string reason, IReadOnlyList<OpenAttempt> attempts, ClusterTopology topology,
        Exception? last)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"No connection to a {wanted} of the cluster {topology.Cluster} within {elapsed.TotalSeconds:0.0##} s: "
                + $"{reason}.");
        if (attempts.Count == 0)
        {
            text.Append(" Nothing was tried.");
        }
        else
        {
            var shown = attempts.Skip(Math.Max(0, attempts.Count - MostShown));
            text.Append(CultureInfo.InvariantCulture,
                $" Tried {attempts.Count} times{(attempts.Count > MostShown ? ", lastly" : "")}: "
                    + $"{string.Join("; ", shown)}.");
        }
        text.Append(CultureInfo.InvariantCulture, $" The topology: {topology}.");
        return new NoHostException(text.ToString(), attempts, topology, last);
    }
}
