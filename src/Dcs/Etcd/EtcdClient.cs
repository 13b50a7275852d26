using Etcdserverpb;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Routing.Dcs.Etcd;

/// <summary>Sends requests to etcd, with or without retries, on the endpoint that currently works.</summary>
internal sealed partial class EtcdClient : IDisposable
{
    private static readonly TimeSpan s_shortestAttempt = TimeSpan.FromSeconds(1);
    private const int MostLogins = 3;
    private const int MostLoginsAfterDenial = 1;   // "permission denied" is rarely cured by a new login

    private readonly EtcdOptions _options;
    private volatile EtcdTransport _transport;
    private readonly ILogger _logger;
    private long _lastContact;
    private long _failures;
    private string? _problem;

    private readonly EtcdAddresses _addresses;

    public EtcdClient(EtcdOptions options, TimeProvider time, ILogger logger)
    {
        _addresses = new EtcdAddresses(options, time);
        _options = options;
        _transport = new EtcdTransport(options);
        _logger = logger;
        Time = time;
        Lives = new EtcdLives(time);
        Endpoints = new EtcdEndpoints([.. _addresses.Configured().Select(Open)], time);
        Login = new EtcdLogin(options);
    }

    public TimeProvider Time { get; }

    public EtcdEndpoints Endpoints { get; }

    public EtcdLogin Login { get; }

    /// <summary>Which life of the store is followed.</summary>
    public EtcdLives Lives { get; }

    /// <summary>Called after an answer that does not fit to those before it.</summary>
    public Action? Doubted { get; set; }

    /// <summary>Timestamp of the last answer of any kind.</summary>
    public long LastContact => Volatile.Read(ref _lastContact);

    /// <summary>The last failure, with its endpoint; null after an answer.</summary>
    public string? Problem
    {
        get => Volatile.Read(ref _problem);
        private set => Volatile.Write(ref _problem, value);
    }

    /// <summary>Attempts that failed.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    public EtcdEndpoint Open(Uri address) => new(address, _transport);

    /// <summary>
    /// Adds an endpoint that was opened before; certificates that were taken over meanwhile hold for it.
    /// </summary>
    public void Add(EtcdEndpoint endpoint)
    {
        Endpoints.Add(endpoint);
        endpoint.Use(_transport);
    }

    /// <summary>Takes over user, password and certificates; nothing else of the options.</summary>
    /// <exception cref="ClusterStoreException">A certificate file can't be used; nothing was changed.</exception>
    public void Use(EtcdOptions options)
    {
        var transport = new EtcdTransport(options);
        transport.Read();
        Login.Use(options.Username, options.Password);
        if (!_transport.HasSameFiles(transport))
        {
            _transport = transport;
            foreach (var endpoint in Endpoints.All)
            {
                endpoint.Use(transport);
            }
        }
    }

    public EtcdOperation Begin(string what, CancellationToken cancellationToken) =>
        new(what, Time, _options.OperationTimeout, cancellationToken);

    /// <summary>Repeats a request until it is answered or refused, or the time is over.</summary>
    /// <remarks>Only for requests that may be applied twice.</remarks>
    /// <exception cref="ClusterStoreException">No answer in time, or a refusal.</exception>
    public async Task<T> AskAsync<T>(
        EtcdOperation operation, Func<EtcdEndpoint, CallOptions, Task<T>> call, Func<T, ResponseHeader?>? header = null)
        where T : class
    {
        while (true)
        {
            var (value, failure) = await TryAsync(operation, call, header);
            if (failure is null)
            {
                return value!;
            }
            if (failure.Kind is EtcdFailureKind.Refused or EtcdFailureKind.LeaseGone || operation.IsOver)
            {
                throw operation.Failed(failure);
            }
        }
    }

    /// <summary>
    /// Makes one attempt on the endpoint that currently works. When none works, it waits a little first.
    /// </summary>
    public async Task<EtcdAnswer<T>> TryAsync<T>(
        EtcdOperation operation, Func<EtcdEndpoint, CallOptions, Task<T>> call, Func<T, ResponseHeader?>? header = null)
        where T : class
    {
        operation.CancellationToken.ThrowIfCancellationRequested();
        if (Endpoints.Count == 0 && await LocateAsync(operation) is { } nowhere)
        {
            return new(null, nowhere);
        }
        var (endpoint, wait) = Endpoints.Choose();
        if (wait > TimeSpan.Zero)
        {
            await Task.Delay(wait < operation.Remaining ? wait : operation.Remaining, Time,
                operation.CancellationToken);
        }
        if (operation.IsOver)
        {
            return new(null, new EtcdFailure(EtcdFailureKind.NotNow, operation.LastProblem ?? "the time was over"));
        }

        var length = AttemptLength(operation);
        // The time left for a last attempt may be too short for any answer: its failure is neither logged nor reported.
        var isRemnant = length < s_shortestAttempt && operation.LastProblem is not null;
        using var limit = new CancellationTokenSource(length, Time);
        using var attempt = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, operation.CancellationToken);
        var token = "";
        var asked = Lives.Revision;
        EtcdFailure failure;
        try
        {
            token = await Login.TokenAsync(endpoint, attempt.Token);
            var value = await call(endpoint, new CallOptions(Headers(token), cancellationToken: attempt.Token));
            Contact();
            if (header is null || Lives.Judge(header(value), asked) is not { } doubt)
            {
                Problem = null;
                if (Endpoints.Answered(endpoint))
                {
                    LogAnswers(endpoint.Name);
                }
                return new(value, null);
            }
            failure = new EtcdFailure(EtcdFailureKind.Ambiguous, doubt);
            Doubted?.Invoke();
        }
        catch (Exception) when (operation.CancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(operation.CancellationToken);
        }
        catch (Exception problem) when (limit.IsCancellationRequested
            && problem is RpcException or OperationCanceledException)
        {
            failure =
                new EtcdFailure(EtcdFailureKind.Silent, $"no answer within {length.TotalSeconds:0.###} s", problem);
            operation.Silences++;
        }
        catch (RpcException problem)
        {
            failure = EtcdFailure.Of(problem);
            if (problem.Status.DebugException is null)
            {
                Contact();   // the server's own words, not the transport's
            }
        }
        catch (Exception problem) when (EtcdFailure.IsOfTransport(problem))
        {
            failure = new EtcdFailure(
                EtcdFailureKind.Ambiguous, TransportProblem.Describe(problem), problem);
        }

        if (failure.Kind == EtcdFailureKind.NeedsLogin)
        {
            failure = AfterLoginProblem(operation, token, failure);
        }
        Interlocked.Increment(ref _failures);
        if (isRemnant && failure.Kind == EtcdFailureKind.Silent)
        {
            return new(null, failure with { Message = operation.LastProblem! });
        }
        Problem = operation.LastProblem = $"{endpoint.Name}: {failure.Message}";
        // A lost lease and an expired token are ordinary; every other failure is logged once.
        if (failure.Kind is not (EtcdFailureKind.LeaseGone or EtcdFailureKind.NeedsLogin)
            && Endpoints.Failed(endpoint, failure.Kind))
        {
            LogFailure(endpoint.Name, operation.What, failure.Message);
        }
        return new(null, failure with { Message = operation.LastProblem });
    }

    /// <summary>Any sign of life counts.</summary>
    public void Contact() => Volatile.Write(ref _lastContact, Time.GetTimestamp());

    /// <summary>
    /// The metadata of a call: only a member that sees a leader shall answer; the token raw, without a scheme.
    /// </summary>
    public static Metadata Headers(string token)
    {
        var headers = new Metadata { { "hasleader", "true" } };
        if (token.Length > 0)
        {
            headers.Add("authorization", token);
        }
        return headers;
    }

    /// <summary>Writes to a stream. When the write fails, the call has ended; its reader gets the reason.</summary>
    /// <remarks>
    /// A connection that breaks in this very moment surfaces here as almost any exception of the transport.
    /// </remarks>
    public static async Task WriteAsync<T>(
        IClientStreamWriter<T> requests, T message, CancellationToken cancellationToken)
    {
        try
        {
            await requests.WriteAsync(message, cancellationToken);
        }
        catch (Exception problem) when (
            problem is RpcException or InvalidOperationException || EtcdFailure.IsOfTransport(problem))
        {
            // The next read brings the status of the call, which explains more.
        }
    }

    public void Dispose()
    {
        Endpoints.Dispose();
        Login.Dispose();
    }

    /// <summary>Finds the first endpoints through SRV records; null when there are some now.</summary>
    private async Task<EtcdFailure?> LocateAsync(EtcdOperation operation)
    {
        try
        {
            Endpoints.AddFirst((await _addresses.DiscoverAsync(operation.CancellationToken)).Select(Open));
            return null;
        }
        catch (ClusterStoreException problem)
        {
            Problem = operation.LastProblem = problem.Message;
            Interlocked.Increment(ref _failures);
            LogFailure("(not found yet)", operation.What, problem.Message);
            await Task.Delay(
                operation.Remaining < s_shortestAttempt ? operation.Remaining : s_shortestAttempt, Time,
                operation.CancellationToken);
            return new EtcdFailure(EtcdFailureKind.Unreachable, problem.Message, problem);
        }
    }

    private EtcdFailure AfterLoginProblem(EtcdOperation operation, string token, EtcdFailure failure)
    {
        var most = failure.Cause is RpcException { StatusCode: StatusCode.PermissionDenied }
            ? MostLoginsAfterDenial
            : MostLogins;
        if (!Login.HasUser || ++operation.Logins > most)
        {
            return failure with { Kind = EtcdFailureKind.Refused };
        }
        Login.Forget(token);
        return failure;
    }

    /// <summary>The pause is short while another endpoint is left, and grows when all were silent.</summary>
    private TimeSpan AttemptLength(EtcdOperation operation)
    {
        var count = Endpoints.Count;
        var first = count > 1 ? s_shortestAttempt : _options.OperationTimeout / 3;
        if (first < s_shortestAttempt)
        {
            first = s_shortestAttempt;
        }
        var length = first * Math.Pow(2, operation.Silences / count);
        return length < operation.Remaining ? length : operation.Remaining;
    }

    [LoggerMessage(EventId = 3001, Level = LogLevel.Warning, Message = "etcd {Endpoint} did not {What}: {Problem}")]
    private partial void LogFailure(string endpoint, string what, string problem);

    [LoggerMessage(EventId = 3002, Level = LogLevel.Information, Message = "etcd {Endpoint} answers again")]
    private partial void LogAnswers(string endpoint);
}

/// <summary>One operation with all its attempts: its deadline and what went wrong so far.</summary>
internal sealed class EtcdOperation(string what, TimeProvider time, TimeSpan limit, CancellationToken cancellationToken)
{
    private readonly long _started = time.GetTimestamp();

    /// <summary>Completes "etcd did not …".</summary>
    public string What { get; } = what;

    public CancellationToken CancellationToken { get; } = cancellationToken;

    public int Silences { get; set; }

    public int Logins { get; set; }

    public string? LastProblem { get; set; }

    public TimeSpan Remaining
    {
        get
        {
            var left = limit - time.GetElapsedTime(_started);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    // Timers count whole milliseconds: what is shorter can't be waited for.
    public bool IsOver => Remaining < TimeSpan.FromMilliseconds(1);

    public ClusterStoreException Failed(EtcdFailure failure) =>
        new($"etcd did not {What}: {failure.Message}", failure.Cause)
        {
            IsRefusal = failure.Kind is EtcdFailureKind.Refused or EtcdFailureKind.LeaseGone,
            IsOfLogin = failure.IsOfLogin,
        };
}
