using System.ComponentModel.DataAnnotations;
using Npgsql;
using Routing.Driver.Settings;

namespace Routing.Driver;

/// <summary>All settings of a <see cref="RoutingDataSource"/>; bound from configuration or set by hand.</summary>
public sealed class RoutingOptions : IValidatableObject
{
    /// <summary>The cluster's name: the agents' <c>scope</c>. Required.</summary>
    [Required(ErrorMessage = "Cluster is missing: the name of the cluster, which is the agents' scope.")]
    public string Cluster { get; set; } = "";

    /// <summary>The prefix of the cluster's keys: the agents' <c>namespace</c>. Default <c>service</c>.</summary>
    public string Namespace { get; set; } = "service";

    /// <summary>Where the topology comes from. Default etcd.</summary>
    public TopologySource Topology { get; set; }

    /// <summary>
    /// Endpoints of etcd: <c>host:port</c> (2379 when no port is given) or URLs. Required unless <see cref="Topology"/>
    /// is rest.
    /// </summary>
    public IList<string> Etcd { get; } = [];

    /// <summary>User of etcd; null: no authentication.</summary>
    public string? EtcdUsername { get; set; }

    /// <summary>Password of <see cref="EtcdUsername"/>.</summary>
    public string? EtcdPassword { get; set; }

    /// <summary>
    /// PEM file with the authorities to trust for etcd; with it endpoints without a scheme are https. Null: the
    /// system's.
    /// </summary>
    public string? EtcdCaFile { get; set; }

    /// <summary>PEM file with the client certificate for etcd.</summary>
    public string? EtcdCertificateFile { get; set; }

    /// <summary>PEM file with its key; null: it stands in <see cref="EtcdCertificateFile"/>.</summary>
    public string? EtcdKeyFile { get; set; }

    /// <summary>
    /// Addresses of the agents' REST: <c>host:port</c> (8008 when no port is given) or URLs. Required when
    /// <see cref="Topology"/> is rest.
    /// </summary>
    public IList<string> Rest { get; } = [];

    /// <summary>
    /// PEM file with the authorities to trust for REST; with it addresses without a scheme are https. Null: the
    /// system's.
    /// </summary>
    public string? RestCaFile { get; set; }

    /// <summary>
    /// Time between two questions to REST: a change is seen that much later. Default 1 s; 0.1 s to 60 s.
    /// </summary>
    public TimeSpan RestInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Everything for Npgsql (user, password, database, pool size …) as a connection string without host and port.
    /// </summary>
    public string ConnectionString { get; set; } = "";

    /// <summary>Whom connections go to when nothing else is asked for. Default the primary.</summary>
    public TargetSessionAttributes Target { get; set; } = TargetSessionAttributes.Primary;

    /// <summary>
    /// The longest that one open takes, waiting for a leader included; the caller's token may end it sooner. Default 10
    /// s; 0.1 s to 10 min.
    /// </summary>
    public TimeSpan OpenTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// What a silent member costs: the longest that one attempt may go on without a sign of life. Default 2 s; at most
    /// 1024 s; 0: as long as <see cref="OpenTimeout"/>. A fraction of a second counts as a whole one.
    /// </summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// A replica that is known to lack more than this many bytes of WAL gets no reads; null: no limit.
    /// </summary>
    [Range(0, long.MaxValue)]
    public long? MaximumLagBytes { get; set; }

    /// <summary>
    /// Members whose tag <see cref="ZoneTag"/> has this value get the reads first; null: no preference.
    /// </summary>
    public string? Zone { get; set; }

    /// <summary>The tag that names a member's zone. Default <c>zone</c>.</summary>
    [Required]
    public string ZoneTag { get; set; } = "zone";

    /// <summary>Tags that a member must carry, with these values, to get reads.</summary>
    public IDictionary<string, string> RequiredTags { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>How a replica is picked. Default least busy.</summary>
    public ReadPolicy ReadPolicy { get; set; }

    /// <summary>When the leader serves opens that ask for a standby. Default never.</summary>
    public ReadFallback ReadFallback { get; set; }

    /// <summary>
    /// How long a causal read waits for a replica to catch up before it goes to the leader. Default 0.5 s; at most 1
    /// min.
    /// </summary>
    public TimeSpan CausalWait { get; set; } = TimeSpan.FromSeconds(0.5);

    /// <summary>Connections that are opened to a new leader at once, one after the other. Default 4; 0: none.</summary>
    [Range(0, 100)]
    public int WarmConnections { get; set; } = 4;

    /// <summary>
    /// The most connections that are opened to the member that a leader is about to hand over to, before it leads: as
    /// many as the leader's pool holds, up to this. Default 32; 0: none.
    /// </summary>
    [Range(0, 1000)]
    public int MaximumWarmConnections { get; set; } = 32;

    /// <summary>
    /// The longest that an attempt goes on without a sign of life of its member; zero: as long as the open. What
    /// <see cref="ConnectionString"/> says has precedence over <see cref="ConnectTimeout"/>.
    /// </summary>
    internal TimeSpan Silence =>
        new NpgsqlConnectionStringBuilder(ConnectionString) is var text && text.ShouldSerialize("Timeout")
        ? TimeSpan.FromSeconds(text.Timeout)
        : TimeSpan.FromSeconds(Math.Ceiling(ConnectTimeout.TotalSeconds));

    /// <summary>
    /// What was not understood in a section of the configuration; told by <see cref="Validate"/>, with all else that is
    /// wrong.
    /// </summary>
    internal List<string> ConfigurationProblems { get; } = [];

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Topology == TopologySource.Etcd && Etcd.Count == 0)
        {
            yield return new("Etcd is missing: at least one endpoint such as 10.0.0.1:2379.", [nameof(Etcd)]);
        }
        if (Topology == TopologySource.Rest && Rest.Count == 0)
        {
            yield return new("Rest is missing: at least one agent's address such as 10.0.0.1:8008.", [nameof(Rest)]);
        }
        foreach (var (name, addresses, port) in new[] { (nameof(Etcd), Etcd, EndpointText.EtcdPort),
            (nameof(Rest), Rest, EndpointText.RestPort) })
        {
            foreach (var address in addresses)
            {
                if (!EndpointText.TryParse(address, "http", port, out _))
                {
                    yield return new(
                        $"{name} holds '{EndpointText.WithoutSecrets(address)}', which is neither host:port nor an "
                            + "http or https URL.", [name]);
                }
            }
        }
        foreach (var problem in ConfigurationProblems)
        {
            yield return new(problem);
        }
        foreach (var (name, value, least, most) in Times())
        {
            if (value < least || value > most)
            {
                yield return new($"{name} is {value}, and must be from {least} to {most}.", [name]);
            }
        }
        if (RoutingConnectionString.ProblemOf(ConnectionString) is { } wrong)
        {
            yield return new(wrong, [nameof(ConnectionString)]);
        }
    }

    internal void CopyTo(RoutingOptions other)
    {
        other.Cluster = Cluster;
        other.Namespace = Namespace;
        other.Topology = Topology;
        other.EtcdUsername = EtcdUsername;
        other.EtcdPassword = EtcdPassword;
        other.EtcdCaFile = EtcdCaFile;
        other.EtcdCertificateFile = EtcdCertificateFile;
        other.EtcdKeyFile = EtcdKeyFile;
        other.RestCaFile = RestCaFile;
        other.RestInterval = RestInterval;
        other.ConnectionString = ConnectionString;
        other.Target = Target;
        other.OpenTimeout = OpenTimeout;
        other.ConnectTimeout = ConnectTimeout;
        other.MaximumLagBytes = MaximumLagBytes;
        other.Zone = Zone;
        other.ZoneTag = ZoneTag;
        other.ReadPolicy = ReadPolicy;
        other.ReadFallback = ReadFallback;
        other.CausalWait = CausalWait;
        other.WarmConnections = WarmConnections;
        other.MaximumWarmConnections = MaximumWarmConnections;
        foreach (var endpoint in Etcd)
        {
            other.Etcd.Add(endpoint);
        }
        foreach (var address in Rest)
        {
            other.Rest.Add(address);
        }
        foreach (var (name, value) in RequiredTags)
        {
            other.RequiredTags[name] = value;
        }
    }

    private IEnumerable<(string Name, TimeSpan Value, TimeSpan Least, TimeSpan Most)> Times() =>
    [
        (nameof(OpenTimeout), OpenTimeout, TimeSpan.FromSeconds(0.1), TimeSpan.FromMinutes(10)),
        // the most that Npgsql takes
        (nameof(ConnectTimeout), ConnectTimeout, TimeSpan.Zero, TimeSpan.FromSeconds(1024)),
        (nameof(CausalWait), CausalWait, TimeSpan.Zero, TimeSpan.FromMinutes(1)),
        (nameof(RestInterval), RestInterval, TimeSpan.FromSeconds(0.1), TimeSpan.FromMinutes(1)),
    ];
}
