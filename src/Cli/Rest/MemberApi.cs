using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Cli.Rest;

/// <summary>What a member answered.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Text">The body, without white space around it.</param>
internal sealed record ApiAnswer(HttpStatusCode Status, string Text)
{
    /// <summary>Done (200) or taken on (202).</summary>
    public bool IsSuccess => Status is HttpStatusCode.OK or HttpStatusCode.Accepted;
}

/// <summary>A member gave no answer: not reachable, no trust, no time.</summary>
/// <param name="message">The member that was asked, and what went wrong.</param>
/// <param name="innerException">The cause.</param>
internal sealed class NoAnswerException(string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>The connection was made: the request may have reached the member all the same.</summary>
    public bool MayHaveArrived { get; init; }
}

/// <summary>
/// Calls the REST API of members. Every failure to get an answer is a <see cref="NoAnswerException"/>.
/// </summary>
internal sealed class MemberApi : IDisposable
{
    /// <summary>The type of an answer that never ends.</summary>
    public const string StreamType = "text/event-stream";

    private static readonly TimeSpan s_connectTimeout = TimeSpan.FromSeconds(5);

    private readonly HttpClient _client;
    private readonly TimeProvider _time;

    public MemberApi(ApiSettings settings, TimeProvider time)
    {
        _time = time;
        _client = new HttpClient(CreateHandler(settings)) { Timeout = Timeout.InfiniteTimeSpan };
        _client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("routingctl", RoutingVersion.Own));
        if (settings.Credentials is var (username, password))
        {
            var credentials = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{username}:{password}"));
            _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", credentials);
        }
    }

    /// <summary>Sends one request.</summary>
    /// <param name="member">Who is asked.</param>
    /// <param name="method">The HTTP method.</param>
    /// <param name="path">Replaces the path of the member's api_url; null keeps it.</param>
    /// <param name="jsonBody">The body, or null for none.</param>
    /// <param name="timeout">The longest to wait for the whole answer.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NoAnswerException">No answer came.</exception>
    public async Task<ApiAnswer> SendAsync(
        Member member, HttpMethod method, string? path, string? jsonBody, TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        var url = UrlOf(member, path);
        using var request = new HttpRequestMessage(method, url);
        if (jsonBody is not null)
        {
            request.Content = new StringContent(jsonBody, Encoding.UTF8, "application/json");
        }
        using var deadline = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            using var response =
                await _client.SendAsync(request, HttpCompletionOption.ResponseContentRead, either.Token);
            var text = await response.Content.ReadAsStringAsync(either.Token);
            return new ApiAnswer(response.StatusCode, text.Trim());
        }
        catch (Exception e) when (IsNoAnswer(e, cancellationToken))
        {
            throw NoAnswer(url, e, timeout, deadline.IsCancellationRequested);
        }
    }

    /// <summary>Asks for a stream of server-sent events. The answer's end is the caller's to wait for.</summary>
    /// <param name="member">Who is asked.</param>
    /// <param name="path">Replaces the path of the member's api_url.</param>
    /// <param name="since">The number of the last event that is known; 0: none.</param>
    /// <param name="timeout">The longest to wait for the head of the answer.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NoAnswerException">No answer came.</exception>
    public async Task<HttpResponseMessage> OpenStreamAsync(
        Member member, string path, long since, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var url = UrlOf(member, path);
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(StreamType));
        request.Headers.Add("Last-Event-ID", since.ToString(CultureInfo.InvariantCulture));
        using var deadline = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            return await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
        }
        catch (Exception e) when (IsNoAnswer(e, cancellationToken))
        {
            throw NoAnswer(url, e, timeout, deadline.IsCancellationRequested);
        }
    }

    private static Uri UrlOf(Member member, string? path)
    {
        if (!Uri.TryCreate(member.ApiUrl, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
        {
            throw new NoAnswerException($"member {member.Name} has no usable api_url in the DCS");
        }
        return path is null ? url : new Uri(url, path);
    }

    private static bool IsNoAnswer(Exception e, CancellationToken cancellationToken) =>
        e is HttpRequestException
        || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private static NoAnswerException NoAnswer(Uri url, Exception e, TimeSpan timeout, bool isLate) => e switch
    {
        HttpRequestException failure => new NoAnswerException($"no answer from {url}: {Explain(failure)}", failure)
        {
            MayHaveArrived = failure.HttpRequestError is not (HttpRequestError.ConnectionError
                or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError),
        },
        _ => new NoAnswerException(
            $"no answer from {url} within {(isLate ? timeout : s_connectTimeout).TotalSeconds:0.#} s", e)
        {
            MayHaveArrived = isLate,
        },
    };

    public void Dispose() => _client.Dispose();

    private static string Explain(HttpRequestException e)
    {
        var cause = e.InnerException?.Message;
        return e.HttpRequestError == HttpRequestError.SecureConnectionError
            ? $"{cause ?? e.Message} (see ctl.cacert, or use --insecure)"
            : cause ?? e.Message;
    }

    private static SocketsHttpHandler CreateHandler(ApiSettings settings)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = s_connectTimeout,
            UseProxy = false,
            AllowAutoRedirect = false,
        };
        if (settings.CertificateFile is not null)
        {
            handler.SslOptions.ClientCertificates = [LoadCertificate(settings)];
        }
        if (settings.Insecure)
        {
#pragma warning disable CA5359 // the operator asked for it: --insecure
            handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        }
        else if (settings.CaFile is { } file)
        {
            handler.SslOptions.CertificateChainPolicy = TrustOnly(file);
        }
        return handler;
    }

    private static X509ChainPolicy TrustOnly(string file)
    {
        try
        {
            return PemFiles.TrustOnly(file);
        }
        catch (Exception e) when (PemFiles.IsOfTheFile(e))
        {
            throw new CtlException($"The CA file {file} can't be read: {e.Message}",
                "See ctl.cacert and restapi.cafile.", e);
        }
    }

    private static X509Certificate2 LoadCertificate(ApiSettings settings)
    {
        try
        {
            return PemFiles.Identity(settings.CertificateFile!, settings.KeyFile, settings.KeyPassword);
        }
        catch (Exception e) when (PemFiles.IsOfTheFile(e))
        {
            throw new CtlException(
                $"The client certificate {settings.CertificateFile} can't be used: {e.Message}",
                "See ctl.certfile, ctl.keyfile and ctl.keyfile_password.",
                e);
        }
    }
}
