using System.Collections.Frozen;
using Microsoft.AspNetCore.Http;
using Routing.Agent.Config;

namespace Routing.Agent.Rest;

/// <summary>The requests with an answer of their own. Each has an entry in the OpenAPI document.</summary>
/// <remarks>A GET without a route is a question of a load balancer; so are all HEAD and OPTIONS.</remarks>
internal sealed class RestRoutes(IEnumerable<RestRoute> routes)
{
    private readonly FrozenDictionary<(string Method, string Word), RestRoute> _byKey =
        routes.ToFrozenDictionary(route => (route.Method, route.Word));

    /// <summary>All routes, in no order.</summary>
    public IReadOnlyList<RestRoute> All => _byKey.Values;

    /// <summary>The route of a request; null when it has none.</summary>
    /// <param name="method">The method, in capitals.</param>
    /// <param name="word">The first segment of the path, without slashes.</param>
    public RestRoute? Find(string method, string word) => _byKey.GetValueOrDefault((method, word));
}

/// <summary>One route.</summary>
/// <param name="Method">The method, in capitals.</param>
/// <param name="Word">The first segment of the path, without slashes.</param>
/// <param name="Access">Which of the checks come before the answer.</param>
/// <param name="AnswerAsync">Writes the answer.</param>
internal sealed record RestRoute(
    string Method, string Word, RouteAccess Access,
    Func<RestHandler, HttpContext, RestSettings, Task> AnswerAsync)
{
    /// <summary>A route that everybody may use.</summary>
    public static RestRoute Open(
        string method, string word, Func<RestHandler, HttpContext, RestSettings, Task> answer) =>
        new(method, word, RouteAccess.Open, answer);

    /// <summary>A route behind the allowlist, the client's certificate and the password.</summary>
    public static RestRoute Guarded(
        string method, string word, Func<RestHandler, HttpContext, RestSettings, Task> answer) =>
        new(method, word, RouteAccess.Guarded, answer);
}

/// <summary>The checks before an answer.</summary>
internal enum RouteAccess
{
    /// <summary>None.</summary>
    Open,

    /// <summary>The allowlist, the client's certificate and the password, as far as they are configured.</summary>
    Guarded,

    /// <summary>As <see cref="Guarded"/>, and the address of a member is not enough to be allowed.</summary>
    Failsafe,
}
