using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Routing.Agent.Rest;

namespace Routing.Agent.Tests.Rest;

/// <summary>The dashboard's file, and what goes with it.</summary>
public sealed partial class DashboardTests
{
    private static readonly string s_html = Encoding.UTF8.GetString(DashboardPage.Html.Span);

    [Fact]
    public async Task The_page_comes_with_a_policy_that_lets_its_own_style_and_script_run_and_nothing_else()
    {
        await using var host = await RestHost.StartAsync(Nodes.Replica);

        using var answer = await host.Http.GetAsync("/ui", TestContext.Current.CancellationToken);

        Assert.Equal("text/html; charset=utf-8", answer.Content.Headers.ContentType?.ToString());
        Assert.Equal(s_html, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        var policy = Assert.Single(answer.Headers.GetValues("Content-Security-Policy"));
        Assert.Equal(
            [
                "base-uri 'none'", "connect-src 'self'", "default-src 'none'", "form-action 'none'",
                "frame-ancestors 'none'", "require-trusted-types-for 'script'",
                $"script-src '{Digest("script")}'", $"style-src '{Digest("style")}'", "trusted-types 'none'",
            ],
            policy.Split("; ").Order(StringComparer.Ordinal));
        Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
        Assert.Equal("DENY", Assert.Single(answer.Headers.GetValues("X-Frame-Options")));
        Assert.Equal("no-referrer", Assert.Single(answer.Headers.GetValues("Referrer-Policy")));
        Assert.True(answer.Headers.CacheControl!.NoStore);
    }

    /// <summary>A policy by digests forbids handlers and styles in attributes, too.</summary>
    [Fact]
    public void The_page_is_one_file_without_anything_from_elsewhere_and_without_markup_out_of_texts()
    {
        Assert.Single(Regex.Matches(s_html, "<script"));
        Assert.Single(Regex.Matches(s_html, "<style"));
        Assert.DoesNotMatch(@"<(link|img|iframe|object|embed|base)\b", s_html);
        Assert.DoesNotMatch(@"\b(src|srcset|style|on[a-z]+)=""", s_html);
        Assert.DoesNotMatch(@"@import|url\(", s_html);
        Assert.DoesNotMatch(@"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|localStorage",
            s_html);
        Assert.Equal(["http://www.w3.org/2000/svg"], Address().Matches(s_html).Select(found => found.Value));
    }

    [Fact]
    public async Task It_is_read_like_other_answers_without_a_password()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary,
            RestHost.Loopback() with { Authentication = new("x", "y") });

        Assert.Equal(200, (await host.SendAsync("GET", "/ui")).Code);
        Assert.Equal(200, (await host.SendAsync("GET", "/ui/")).Code);
        Assert.Equal(501, (await host.SendAsync("POST", "/ui")).Code);
    }

    private static string Digest(string element)
    {
        var content = Regex.Match(s_html, $"<{element}>(.*)</{element}>", RegexOptions.Singleline).Groups[1].Value;
        return $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(content)))}";
    }

    [GeneratedRegex("https?://[a-z0-9./]+")]
    private static partial Regex Address();
}
