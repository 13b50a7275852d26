using Npgsql;
using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>Who is wanted, in which state the members are, and who gets the connection: read it like a table.</summary>
public sealed class HostMatrixTests : IDisposable
{
    private readonly PretendTopology _topology = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _topology.Dispose();

    // The states of a, b, c: P leads, R a replica that runs, S starting, L lags by 1 MB, N noloadbalance, Z a replica
    // in zone "near", - is not there.
    [Theory]
    [InlineData(TargetSessionAttributes.Primary, ReadFallback.Never, "PRR", "a")]
    [InlineData(TargetSessionAttributes.Primary, ReadFallback.Never, "RPR", "b")]
    [InlineData(TargetSessionAttributes.Primary, ReadFallback.Always, "RRR", "none")]
    [InlineData(TargetSessionAttributes.Primary, ReadFallback.Never, "--P", "c")]
    [InlineData(TargetSessionAttributes.ReadWrite, ReadFallback.Never, "RRP", "c")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.Never, "PRR", "b c")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.Never, "PRS", "b")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.Never, "PRL", "b")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.Never, "PNR", "c")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.Never, "PRZ", "c")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.Never, "RRR", "a b c")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.Never, "P--", "none")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.Never, "PSL", "none")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.WhenEmpty, "PSL", "a")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.WhenEmpty, "PRL", "b")]
    [InlineData(TargetSessionAttributes.Standby, ReadFallback.Always, "PRR", "a b c")]
    [InlineData(TargetSessionAttributes.ReadOnly, ReadFallback.Never, "PRR", "b c")]
    [InlineData(TargetSessionAttributes.PreferStandby, ReadFallback.Never, "PRR", "b c")]
    [InlineData(TargetSessionAttributes.PreferStandby, ReadFallback.Never, "PSS", "a")]
    [InlineData(TargetSessionAttributes.PreferStandby, ReadFallback.Never, "SSS", "none")]
    [InlineData(TargetSessionAttributes.PreferPrimary, ReadFallback.Never, "PRR", "a")]
    [InlineData(TargetSessionAttributes.PreferPrimary, ReadFallback.Never, "SRR", "b c")]
    [InlineData(TargetSessionAttributes.Any, ReadFallback.Never, "PRR", "a b c")]
    [InlineData(TargetSessionAttributes.Any, ReadFallback.Never, "SSR", "c")]
    public async Task Wanted_and_states_give_the_host(
        TargetSessionAttributes wanted, ReadFallback fallback, string states, string expected)
    {
        var source = _topology.Build(options =>
        {
            (options.ReadFallback, options.MaximumLagBytes, options.Zone) = (fallback, 1000, "near");
            options.OpenTimeout = TimeSpan.FromSeconds(expected == "none" ? 0.3 : 5);
        });
        Arrange(states);
        await WaitUntil.TrueAsync(() => source.Topology.IsKnown);

        var found = new SortedSet<string>(StringComparer.Ordinal);
        var opened = new List<NpgsqlConnection>();
        for (var count = 0; count < 6 && !(count > 0 && expected == "none"); count++)
        {
            try
            {
                var connection = await source.OpenConnectionAsync(wanted, Cancellation);
                opened.Add(connection);
                found.Add(_topology.Servers.Single(one => one.Value.Port == connection.Port).Key);
            }
            catch (NoHostException)
            {
                found.Add("none");
            }
        }
        opened.ForEach(connection => connection.Dispose());

        Assert.Equal(expected, string.Join(' ', found));
    }

    private void Arrange(string states)
    {
        string? leader = null;
        foreach (var (name, state) in "abc".Select(name => name.ToString()).Zip(states))
        {
            switch (state)
            {
                case 'P':
                    leader = name;
                    break;
                case 'S':
                    _topology.Change(name, one => one with { State = PostgresState.Starting });
                    break;
                case 'L':
                    _topology.Change(name, one => one with { ReplayLsn = new Lsn(1) });
                    break;
                case 'N':
                    _topology.Tag(name, "noloadbalance", "true");
                    break;
                case 'Z':
                    _topology.Tag(name, "zone", "near");
                    break;
                case '-':
                    _topology.Remove(name);
                    break;
                default:
                    break;
            }
        }
        _topology.Lead(leader);
    }
}
