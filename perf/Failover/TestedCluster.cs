using Routing.TestKit;

namespace Routing.Failover;

/// <summary>Three nodes with one agent program, all processes and files of its own.</summary>
internal sealed class TestedCluster : IAsyncDisposable
{
    private const int Size = 3;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(150);
    private static int s_count;
    private readonly TempDirectory _directory = new("failover");

    private TestedCluster(Contender contender, string postgres, Uri etcd)
    {
        Scope = $"failover{++s_count}";
        (Contender, Etcd) = (contender, etcd);
        Nodes = [.. Enumerable.Range(1, Size).Select(
            i => new TestedNode(contender, Scope, $"node{i}", _directory[$"node{i}"], postgres, etcd))];
    }

    public Contender Contender { get; }

    public string Scope { get; }

    public Uri Etcd { get; }

    /// <summary>The directory of all its files, and of all its processes.</summary>
    public string Path => _directory.Path;

    public IReadOnlyList<TestedNode> Nodes { get; }

    /// <summary>Starts it and waits until it is whole.</summary>
    public static async Task<TestedCluster> StartAsync(
        Contender contender, string postgres, Uri etcd, CancellationToken cancellationToken)
    {
        var cluster = new TestedCluster(contender, postgres, etcd);
        try
        {
            foreach (var node in cluster.Nodes)
            {
                node.StartAgent();
            }
            var primary = await cluster.BecomeWholeAsync(cancellationToken);
            await primary.AskAsync<object>("CREATE TABLE written(id bigint PRIMARY KEY)", cancellationToken);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until one member leads, the others are its replicas, and both stream from it.</summary>
    /// <returns>The primary.</returns>
    /// <exception cref="TimeoutException">
    /// It did not become so; the message ends with the agents' last words.
    /// </exception>
    public async Task<TestedNode> BecomeWholeAsync(CancellationToken cancellationToken)
    {
        TestedNode? primary = null;
        try
        {
            await WaitUntil.TrueAsync(async () => (primary = await WholeAsync(cancellationToken)) is not null,
                s_patience, "the cluster is whole");
        }
        catch (TimeoutException late)
        {
            throw new TimeoutException(
                string.Join('\n', Nodes.SelectMany(node => node.LastWords(8)).Prepend($"{Contender}: {late.Message}")),
                late);
        }
        return primary!;
    }

    /// <summary>The member that leads after a switchover.</summary>
    public TestedNode CandidateOf(TestedNode primary) =>
        Nodes.First(node => node != primary);

    /// <summary>The member that leads by its own word; null when that is not one.</summary>
    public async Task<TestedNode?> PrimaryAsync(CancellationToken cancellationToken)
    {
        var leads = await Task.WhenAll(Nodes.Select(node => node.IsAsync("primary", cancellationToken)));
        return leads.Count(is200 => is200) == 1 ? Nodes[leads.IndexOf(true)] : null;
    }

    public async Task SwitchOverAsync(TestedNode primary)
    {
        var candidate = CandidateOf(primary);
        using var http = new HttpClient { Timeout = s_patience };
        // A string, so that its length is announced.
        using var body = new StringContent($$"""{"leader": "{{primary.Name}}", "candidate": "{{candidate.Name}}"}""");
        using var answer = await http.PostAsync(new Uri(primary.Rest, "switchover"), body);
        if (!answer.IsSuccessStatusCode)
        {
            throw new InvalidOperationException(
                $"{Contender} refused the switchover: {(int)answer.StatusCode} "
                    + $"{await answer.Content.ReadAsStringAsync()}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        var fences = Linux.ProcessesBelow(Path)
            .Where(process => process.Arguments is [_, "--fence", _])
            .Select(process => System.IO.Path.GetDirectoryName(process.Arguments[2])!)
            .ToList();
        var agents = Nodes.Where(node => node.IsStarted).ToList();
        agents.ForEach(node => node.StopAgent());
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        try
        {
            await Task.WhenAll(agents.Select(node => node.WaitForEndAsync(limit.Token)));
        }
        catch (OperationCanceledException)
        {
            // Killed below, with whatever else is left of this cluster.
        }
        foreach (var node in Nodes)
        {
            await node.DisposeAsync();
        }
        await WaitUntil.TrueAsync(() =>
        {
            var left = Linux.ProcessesBelow(Path).ToList();
            left.ForEach(process => Linux.Signal(process.Pid, Linux.SigKill));
            return left.Count == 0;
        }, what: $"the processes of {Contender} have ended");
        fences.Where(Directory.Exists).ToList().ForEach(path => Directory.Delete(path, recursive: true));
        _directory.Dispose();
    }

    private async Task<TestedNode?> WholeAsync(CancellationToken cancellationToken)
    {
        var primary = await PrimaryAsync(cancellationToken);
        var follows = await Task.WhenAll(Nodes.Select(node => node.IsAsync("replica", cancellationToken)));
        if (primary is null || follows.Count(is200 => is200) != Size - 1)
        {
            return null;
        }
        try
        {
            var streaming = await primary.AskAsync<long>(
                "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", cancellationToken);
            return streaming == Size - 1 ? primary : null;
        }
        catch (Npgsql.NpgsqlException)
        {
            return null;   // it was the primary a moment ago
        }
    }
}
