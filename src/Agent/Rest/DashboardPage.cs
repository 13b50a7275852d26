using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Routing.Agent.Config;

namespace Routing.Agent.Rest;

/// <summary>
/// <c>GET /ui</c>: a page for people. It shows what the other answers of this interface tell, and offers the actions to
/// users that have the credentials.
/// </summary>
/// <remarks>
/// One file in the program, and nothing from elsewhere: the policy that goes with it lets the browser run this style
/// and this script, by their digests, and ask this agent alone.
/// </remarks>
internal static class DashboardPage
{
    private static readonly Lazy<byte[]> s_html = new(() => EmbeddedFile.Read("dashboard.html"));

    private static readonly Lazy<string> s_policy = new(() =>
    {
        var html = Encoding.UTF8.GetString(s_html.Value);
        return $"default-src 'none'; style-src '{Digest(html, "style")}'; script-src '{Digest(html, "script")}'; "
            + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            + "require-trusted-types-for 'script'; trusted-types 'none'";
    });

    /// <summary>The page, UTF-8.</summary>
    public static ReadOnlyMemory<byte> Html => s_html.Value;

    /// <summary>What the browser may do with it.</summary>
    public static string Policy => s_policy.Value;

    /// <summary>Answers with it.</summary>
    public static Task AnswerAsync(HttpContext context, RestSettings settings)
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers.CacheControl = "no-store";
        return context.WriteAsync(settings, StatusCodes.Status200OK, "text/html; charset=utf-8", Html);
    }

    /// <summary>The digest of the one element of a kind, as a policy names it.</summary>
    private static string Digest(string html, string element)
    {
        var start = html.IndexOf($"<{element}>", StringComparison.Ordinal) + element.Length + 2;
        var end = html.IndexOf($"</{element}>", start, StringComparison.Ordinal);
        return $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(html[start..end])))}";
    }
}
