using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Cluster;

namespace Routing.Agent.Rest;

/// <summary>Decides which clients may use the methods that change something.</summary>
/// <param name="settings">The <c>restapi</c> section.</param>
/// <param name="allowed">Its allowlist, resolved.</param>
internal sealed partial class AccessControl(RestSettings settings, ImmutableArray<IPNetwork> allowed)
{
    private static readonly TimeSpan s_resolveTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Resolves the allowlist; a name that does not resolve allows no client.</summary>
    public static async Task<AccessControl> CreateAsync(
        RestSettings settings, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        var allowed = ImmutableArray.CreateBuilder<IPNetwork>();
        foreach (var entry in settings.AllowList)
        {
            if (NetworkText.TryParse(entry, out var network))
            {
                allowed.Add(network);
                continue;
            }
            var addresses = await ResolveAsync(entry, time, cancellationToken);
            if (addresses.Count == 0)
            {
                LogUnresolved(logger, entry);
            }
            allowed.AddRange(addresses.Select(Single));
        }
        return new AccessControl(settings, allowed.ToImmutable());
    }

    /// <summary>
    /// Null: go on. Else the code and the sentence of the refusal. The first check that fails decides.
    /// </summary>
    public async ValueTask<Refusal?> CheckAsync(
        HttpContext context, bool isFailsafe, ClusterSnapshot? cluster, TimeProvider time)
    {
        if (!await IsAddressAllowedAsync(context, isFailsafe, cluster, time))
        {
            return new Refusal(StatusCodes.Status403Forbidden, "Access is denied");
        }
        if (settings is { CertificateFile: not null, VerifyClient: not ClientVerification.None }
            && context.Connection.ClientCertificate is null)
        {
            return new Refusal(StatusCodes.Status403Forbidden, "client certificate required");
        }
        if (settings.Authentication is { } wanted)
        {
            var header = context.Request.Headers.Authorization.ToString();
            if (header.Length == 0)
            {
                return new Refusal(StatusCodes.Status401Unauthorized, "no auth header received");
            }
            if (!IsAuthentic(header, wanted))
            {
                return new Refusal(StatusCodes.Status401Unauthorized, "not authenticated");
            }
        }
        return null;
    }

    private async ValueTask<bool> IsAddressAllowedAsync(
        HttpContext context, bool isFailsafe, ClusterSnapshot? cluster, TimeProvider time)
    {
        var asksMembers = settings.AllowListIncludesMembers && !isFailsafe;
        if (allowed.IsEmpty && settings.AllowList.IsEmpty && !asksMembers)
        {
            return true;
        }
        if (context.Connection.RemoteIpAddress is not { } remote)
        {
            return false;
        }
        var client = remote.IsIPv4MappedToIPv6 ? remote.MapToIPv4() : remote;
        if (allowed.Any(network => network.Contains(client)))
        {
            return true;
        }
        if (!asksMembers || cluster is null)
        {
            return false;
        }
        foreach (var member in cluster.Members.Values)
        {
            if (Uri.TryCreate(member.ApiUrl, UriKind.Absolute, out var url)
                && (await ResolveAsync(url.IdnHost, time, context.RequestAborted)).Contains(client))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>
    /// Compares digests, so that the time taken tells nothing about where the texts differ or how long they are.
    /// </summary>
    private static bool IsAuthentic(string header, BasicCredentials wanted)
    {
        const string scheme = "Basic ";
        if (!header.StartsWith(scheme, StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }
        Span<byte> given = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> expected = stackalloc byte[SHA256.HashSizeInBytes];
        var token = new byte[header.Length];
        if (!Convert.TryFromBase64String(header[scheme.Length..].Trim(), token, out var length))
        {
            return false;
        }
        SHA256.HashData(token.AsSpan(0, length), given);
        SHA256.HashData(Encoding.UTF8.GetBytes($"{wanted.Username}:{wanted.Password}"), expected);
        return CryptographicOperations.FixedTimeEquals(given, expected);
    }

    private static async ValueTask<IReadOnlyList<IPAddress>> ResolveAsync(
        string host, TimeProvider time, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(host.Trim('[', ']'), out var address))
        {
            return [address];
        }
        using var timeout = new CancellationTokenSource(s_resolveTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            return await Dns.GetHostAddressesAsync(host, either.Token);
        }
        catch (Exception problem) when (problem is SocketException or ArgumentException
            || (problem is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return [];   // a name that cannot be resolved has no address to compare with
        }
    }

    private static IPNetwork Single(IPAddress address) =>
        new(address, address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128);

    [LoggerMessage(EventId = 4003, Level = LogLevel.Warning,
        Message = "restapi.allowlist: {Entry} cannot be resolved and allows nobody")]
    private static partial void LogUnresolved(ILogger logger, string entry);
}

/// <summary>Why a request is refused.</summary>
/// <param name="Code">The HTTP code.</param>
/// <param name="Sentence">What is told.</param>
internal sealed record Refusal(int Code, string Sentence);
