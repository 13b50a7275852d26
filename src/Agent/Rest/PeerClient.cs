using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Text;
using System.Text.Json;
using Routing.Agent.Config;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Text;
using Routing.Ha;

namespace Routing.Agent.Rest;

/// <summary>Asks other members through their REST. Every question has its own connection and its own bound.</summary>
/// <param name="settings">The <c>ctl</c> section.</param>
/// <param name="time">The clock.</param>
internal sealed class PeerClient(CtlSettings settings, TimeProvider time) : IPeers, IDisposable
{
    private const int MaximumAnswerBytes = 1024 * 1024;
    private readonly Lock _lock = new();
    private readonly List<HttpClient> _retired = [];
    private HttpClient _http = Create(settings);

    /// <summary>Takes changed settings; certificates are read anew.</summary>
    public void Reload(CtlSettings changed)
    {
        var http = Create(changed);
        lock (_lock)
        {
            _retired.ForEach(old => old.Dispose());   // unused since the reload before this one
            _retired.Clear();
            _retired.Add(_http);
            _http = http;
        }
    }

    /// <inheritdoc/>
    public async Task<ImmutableArray<PeerReport>> ProbeAsync(
        IReadOnlyList<Member> members, TimeSpan timeout, CancellationToken cancellationToken) =>
        [.. await Task.WhenAll(members.Select(member => ProbeAsync(member, timeout, cancellationToken)))];

    /// <inheritdoc/>
    public async Task<ImmutableArray<FailsafeReply>> PostFailsafeAsync(
        IReadOnlyList<KeyValuePair<string, string>> members, FailsafeMessage message, TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        var body = FailsafeJson.Write(message);
        return [.. await Task.WhenAll(
            members.Select(member => PostFailsafeAsync(member.Key, member.Value, body, timeout, cancellationToken)))];
    }

    /// <summary>
    /// What our own REST says of itself (<see cref="RestHandler.AgentHeader"/>): an answer with it is no other agent's.
    /// </summary>
    public string? OwnId { get; init; }

    /// <inheritdoc/>
    public async Task<bool> LivenessAsync(string apiUrl, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var answer = await AskAsync(HttpMethod.Get, apiUrl, "/liveness", null, timeout, cancellationToken);
        return answer is { Code: not null, IsOwn: false };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _retired.ForEach(old => old.Dispose());
            _http.Dispose();
        }
    }

    private async Task<PeerReport> ProbeAsync(Member member, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (member.ApiUrl is not { } url)
        {
            return PeerReport.Unreachable(member.Name, "it published no api_url");
        }
        var answer = await AskAsync(HttpMethod.Get, url, null, null, timeout, cancellationToken);
        if (answer.Code is null)
        {
            return PeerReport.Unreachable(member.Name, answer.Text);
        }
        try
        {
            return Read(member.Name, answer.Text);
        }
        catch (Exception problem)
        {
            // Whatever is wrong with the answer, the peer counts as unreachable.
            return PeerReport.Unreachable(member.Name,
                $"{url} answered {(int)answer.Code} with something that cannot be read: {problem.Message}");
        }
    }

    /// <summary>Reads the status document of any version, ours or Patroni's.</summary>
    internal static PeerReport Read(string name, string text)
    {
        if (!JsonText.TryParse(text, out var status, out var nonsense))
        {
            return PeerReport.Unreachable(name, $"its status cannot be read; {nonsense}");
        }
        if (status.ValueKind != JsonValueKind.Object)
        {
            return PeerReport.Unreachable(name, "its status is not a JSON object");
        }
        if (status.TryGetProperty("patroni", out var self) && self.ValueKind == JsonValueKind.Object
            && RequestBody.Text(self, "name") is { } other && other != name)
        {
            // The address was given to another member since.
            return PeerReport.Unreachable(name, $"its address answers as {other}");
        }
        var role = WireNames.ParseRole(RequestBody.Text(status, "role"));
        var tags = Tags(status);
        var (position, isPrimary) = Position(status, role);
        return new PeerReport(name, Reachable: true, isPrimary, position, Timeline(status), tags.NoFailover,
            tags.FailoverPriority,
            status.TryGetProperty("watchdog_failed", out var failed) && Scalars.TryBoolean(failed, out var isFailed)
                && isFailed)
        {
            Role = role,
            State = WireNames.ParseState(RequestBody.Text(status, "state")),
            SystemId = RequestBody.Text(status, "database_system_identifier"),
            Age = Age(status),
            Damage = status.TryGetProperty("routing", out var own) && own.ValueKind == JsonValueKind.Object
                ? RequestBody.Text(own, "damage")
                : null,
            Paused = status.TryGetProperty("pause", out var pause) && Scalars.TryBoolean(pause, out var isPaused)
                && isPaused,
        };
    }

    private static TimeSpan? Age(JsonElement status) =>
        status.TryGetProperty("routing", out var routing) && routing.ValueKind == JsonValueKind.Object
        && routing.TryGetProperty("age", out var age) && age.ValueKind == JsonValueKind.Number
        && age.TryGetDouble(out var seconds) && seconds is >= 0 and < 1e9
            ? TimeSpan.FromSeconds(seconds)
            : null;

    private static (Lsn Position, bool IsPrimary) Position(JsonElement status, Role role)
    {
        if ((status.TryGetProperty("xlog", out var xlog) || status.TryGetProperty("wal", out xlog))
            && xlog.ValueKind == JsonValueKind.Object)
        {
            return xlog.TryGetProperty("location", out _)
                ? (Number(xlog, "location"), true)
                : (Lsn.Max(Number(xlog, "received_location"), Number(xlog, "replayed_location")), false);
        }
        return (Lsn.Zero, role == Role.Primary);
    }

    private static Lsn Number(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && Scalars.TryInteger(value, out var number) && number > 0
            ? new Lsn((ulong)number)
            : Lsn.Zero;

    private static uint Timeline(JsonElement status) =>
        status.TryGetProperty("timeline", out var value) && Scalars.TryInteger(value, out var number)
            && number is > 0 and <= uint.MaxValue
            ? (uint)number
            : 0;

    private static MemberTags Tags(JsonElement status) =>
        status.TryGetProperty("tags", out var tags) && tags.ValueKind == JsonValueKind.Object
            ? new MemberTags(tags.EnumerateObject().DistinctBy(tag => tag.Name).ToImmutableSortedDictionary(
                tag => tag.Name, tag => tag.Value, StringComparer.Ordinal))
            : MemberTags.Empty;

    private async Task<FailsafeReply> PostFailsafeAsync(
        string name, string url, byte[] body, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var answer = await AskAsync(HttpMethod.Post, url, "/failsafe", body, timeout, cancellationToken);
        if (answer.Code is not { } code)
        {
            return new FailsafeReply(name, false, null, answer.Text);
        }
        var accepted = code == HttpStatusCode.OK && answer.Text.Trim() == "Accepted";
        return new FailsafeReply(name, accepted, answer.Position, $"{(int)code} {answer.Text}", Refused: !accepted);
    }

    /// <summary>One question. Without an answer the code is null and the text says why.</summary>
    private async Task<Answer> AskAsync(
        HttpMethod method, string apiUrl, string? path, byte[]? body, TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        if (!Uri.TryCreate(apiUrl, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
        {
            return new Answer(null, $"'{apiUrl}' is not a URL that can be asked");
        }
        using var patience = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            using var request = new HttpRequestMessage(method, path is null ? url : new Uri(url, path));
            request.Headers.ConnectionClose = true;
            if (body is not null)
            {
                request.Content = new ByteArrayContent(body);
                request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            }
            using var response = await Volatile.Read(ref _http)
                .SendAsync(request, HttpCompletionOption.ResponseContentRead, either.Token);
            // As UTF-8 whatever charset it names: the name may be one that nobody knows.
            var text = Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(either.Token));
            return new Answer(response.StatusCode, text, PositionHeader(response)) { IsOwn = IsOwn(response) };
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new Answer(null, string.Create(
                CultureInfo.InvariantCulture, $"{url} did not answer within {timeout.TotalSeconds:0.###} s"));
        }
        catch (Exception problem) when (problem is not OperationCanceledException)
        {
            // A peer, or what stands at its address, may answer anything: that is its fault, and no reason for ours to
            // end.
            return new Answer(null, $"{url} cannot be asked: {problem.GetBaseException().Message}");
        }
    }

    private bool IsOwn(HttpResponseMessage response) =>
        OwnId is not null && response.Headers.TryGetValues(RestHandler.AgentHeader, out var values)
            && values.First() == OwnId;

    private static Lsn? PositionHeader(HttpResponseMessage response) =>
        response.Headers.TryGetValues("lsn", out var values)
        && ulong.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var position)
            ? new Lsn(position)
            : null;

    private static HttpClient Create(CtlSettings settings)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            PooledConnectionLifetime = TimeSpan.Zero,
        };
        // An agent that shows no certificate itself does not look at the peer's; else the chain counts, unless
        // `insecure` says otherwise.
        if (settings.CertificateFile is { } file)
        {
            handler.SslOptions.ClientCertificates = [
                Pem.ReadCertificate(file, settings.KeyFile, settings.KeyFilePassword)];
            var authorities = settings.CaFile is { } authoritiesFile ? Pem.ReadAuthorities(authoritiesFile) : null;
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
                settings.Insecure
                || certificate is not null
                && (authorities is null
                    ? (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None
                    : Pem.IsIssuedBy(authorities, certificate));
        }
        else
        {
#pragma warning disable CA5359 // Patroni's agents have self-signed certificates by default; no secret is asked for.
            handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        }
        var http = new HttpClient(handler)
        {
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = MaximumAnswerBytes,
        };
        http.DefaultRequestHeaders.UserAgent.ParseAdd(
            $"Patroni/{RoutingVersion.Compatible} Routing/{RoutingVersion.Own}");
        if (settings.Authentication is { } credentials)
        {
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic",
                Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credentials.Username}:{credentials.Password}")));
        }
        return http;
    }

    /// <summary>What came back.</summary>
    private readonly record struct Answer(HttpStatusCode? Code, string Text, Lsn? Position = null)
    {
        /// <summary>Our own REST gave it.</summary>
        public bool IsOwn { get; init; }
    }
}
