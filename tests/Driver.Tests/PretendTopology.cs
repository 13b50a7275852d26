using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Driver.Tests;

/// <summary>Three members, each a <see cref="PretendServer"/>, and what the driver is told of them.</summary>
internal sealed class PretendTopology : IClusterViews, IDisposable
{
    private readonly Channel<ClusterView> _views = Channel.CreateUnbounded<ClusterView>();
    private readonly Dictionary<string, Member> _members = new(StringComparer.Ordinal);
    private readonly List<RoutingDataSource> _sources = [];
    private LeaderKey? _leader;
    private SwitchoverIntent? _intent;
    private Lsn _end = new(1_000_000);
    private long _revision = 100;
    private bool _isLive = true;

    public PretendTopology()
    {
        foreach (var (name, server) in Servers)
        {
            _members[name] = new Member
            {
                Name = name,
                Address = new HostPort("127.0.0.1", server.Port),
                Role = Role.Replica,
                State = PostgresState.Running,
                Timeline = 5,
                XlogLocation = _end,
                ReplayLsn = _end,
            };
            server.InRecovery = true;
        }
    }

    public Dictionary<string, PretendServer> Servers { get; } =
        new(StringComparer.Ordinal) { ["a"] = new(), ["b"] = new(), ["c"] = new() };

    public PretendServer this[string name] => Servers[name];

    /// <summary>
    /// A member becomes the leader of a new term, in the view of all and by its own word; null: nobody leads.
    /// </summary>
    public PretendTopology Lead(string? name, long? term = null)
    {
        foreach (var member in _members.Values.Where(one => one.Role == Role.Primary).ToList())
        {
            Change(member.Name, one => one with { Role = Role.Replica });
            Servers[member.Name].InRecovery = true;
        }
        _leader = name is null ? null : new LeaderKey(name, new Term(term ?? ++_revision), _revision, 1);
        if (name is not null)
        {
            Change(name, one => one with { Role = Role.Primary });
            Servers[name].InRecovery = false;
        }
        return Show();
    }

    /// <summary>Changes what is told of a member; <see cref="Show"/> tells it.</summary>
    public PretendTopology Change(string name, Func<Member, Member> change)
    {
        _members[name] = change(_members[name]) with { ModRevision = ++_revision };
        return this;
    }

    public PretendTopology Tag(string name, string tag, string value) => Change(name, one => one with
    {
        Tags = new MemberTags(one.Tags.Values.SetItem(tag, JsonElement.Parse(JsonSerializer.Serialize(value)))),
    });

    public PretendTopology Remove(string name)
    {
        _members.Remove(name);
        return this;
    }

    public PretendTopology EndsAt(Lsn end)
    {
        _end = end;
        return this;
    }

    /// <summary>The leader is about to hand over; null: it is not, or not any more.</summary>
    /// <param name="id">Names what it announces.</param>
    /// <param name="grace">How long it waits.</param>
    /// <param name="candidate">The member that shall follow; null: it names none.</param>
    public PretendTopology Intend(string? id, TimeSpan grace = default, string? candidate = null)
    {
        _intent =
            id is null ? null : new SwitchoverIntent(id, _leader!.Holder, candidate, _leader.Term.Revision, grace);
        return Show();
    }

    /// <summary>The source falls silent, or answers again.</summary>
    public PretendTopology IsLive(bool isLive)
    {
        _isLive = isLive;
        return Show();
    }

    public PretendTopology Show()
    {
        _views.Writer.TryWrite(new ClusterView(
            new ClusterSnapshot
            {
                Revision = ++_revision,
                Leader = _leader,
                Members = _members.ToImmutableSortedDictionary(StringComparer.Ordinal),
                Status = LeaderStatus.None with { Optime = _end },
                HasStatusKey = true,
                Switchover = _intent,
            },
            _isLive, TimeProvider.System.GetTimestamp()));
        return this;
    }

    /// <summary>A data source on this topology; disposed of with it.</summary>
    public RoutingDataSource Build(
        Action<RoutingOptions>? set = null, Action<RoutingDataSourceBuilder>? configure = null)
    {
        var builder = new RoutingDataSourceBuilder(
            "Cluster=pay;Etcd=127.0.0.1:1;Username=u;Database=d;SSL Mode=Disable;Server Compatibility "
                + "Mode=NoTypeLoading;Timeout=1;Open Timeout=5")
        {
            Views = this,
        };
        set?.Invoke(builder.Options);
        configure?.Invoke(builder);
        var source = builder.Build();
        _sources.Add(source);
        return source;
    }

    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var view in _views.Reader.ReadAllAsync(cancellationToken))
        {
            yield return view;
        }
    }

    public void Dispose()
    {
        _sources.ForEach(source => source.Dispose());
        foreach (var server in Servers.Values)
        {
            server.Dispose();
        }
    }
}
