using System.Net.Sockets;
using System.Text.Json;
using Npgsql;
using Routing.Cli.Sql;
using Routing.Cluster;
using Routing.Settings.Review;

namespace Routing.Cli.Editing;

/// <summary>Checks a configuration before it is written, and says what comes of it.</summary>
internal sealed class ConfigCheck(Session session, ClusterSnapshot snapshot, string cluster)
{
    /// <summary>Prints what is wrong, what may be wrong, and where a restart will be needed.</summary>
    /// <returns>Whether nothing is wrong.</returns>
    public async Task<bool> PassesAsync(JsonElement before, JsonElement wanted, CancellationToken cancellationToken)
    {
        var catalogue = ConfigReview.ChangesParameters(before, wanted) ? await CatalogueAsync(cancellationToken) : null;
        var review = ConfigReview.Of(before, wanted, catalogue);
        foreach (var problem in review.Problems)
        {
            session.Screen.WriteError(problem);
        }
        foreach (var remark in review.Remarks)
        {
            session.Screen.WriteHint(remark);
        }
        if (review.RestartParameters.Length > 0)
        {
            session.Screen.WriteHint(
                $"{string.Join(", ", review.RestartParameters)} will need a restart of "
                    + $"{string.Join(", ", snapshot.Members.Keys)}: "
                + $"routingctl restart {cluster} --pending.");
        }
        return review.Problems.IsEmpty;
    }

    /// <summary>What the leader's server says of its parameters; null, with a hint, when it can't be asked.</summary>
    private async Task<IReadOnlyDictionary<string, ParameterDefinition>?> CatalogueAsync(
        CancellationToken cancellationToken)
    {
        var problem = "there is no leader";
        if (snapshot.LeaderMember?.Address is { } address)
        {
            try
            {
                if (await ParameterCatalogue.ReadAsync(
                    session.Settings.Superuser, address, cancellationToken) is { } catalogue)
                {
                    return catalogue;
                }
                problem = "the user may not read all settings";
            }
            catch (Exception e) when (e is NpgsqlException or SocketException or TimeoutException)
            {
                problem = e.Message;
            }
        }
        session.Screen.WriteHint(
            $"The server was not asked about its parameters, so their names and values are not checked: {problem}.");
        return null;
    }
}
