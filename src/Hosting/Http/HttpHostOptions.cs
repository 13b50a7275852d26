using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Routing.Cluster;

namespace Routing.Hosting.Http;

/// <summary>Where and how an <see cref="HttpHost"/> listens.</summary>
internal sealed record HttpHostOptions
{
    /// <summary>What people call it: the subject of a sentence, such as <c>REST</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The address; the host <c>*</c> stands for all addresses of both families.</summary>
    public required HostPort Listen { get; init; }

    /// <summary>Connections at once.</summary>
    public required int MaximumConnections { get; init; }

    /// <summary>The longest body of a request; 0: none may have one.</summary>
    public required long MaximumBodyBytes { get; init; }

    /// <summary>How long an idle connection is kept, and how long the headers of a request may take.</summary>
    public required TimeSpan KeepAlive { get; init; }

    /// <summary>Connections that the kernel queues; null: Kestrel's own default.</summary>
    public int? Backlog { get; init; }

    /// <summary>Makes a socket that is bound and does not listen yet; null: Kestrel does.</summary>
    public Func<EndPoint, Socket>? Bind { get; init; }

    /// <summary>Adds what a connection passes through, such as TLS.</summary>
    public Action<ListenOptions>? Configure { get; init; }
}
