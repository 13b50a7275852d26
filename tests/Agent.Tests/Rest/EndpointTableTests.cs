using System.Collections.Immutable;
using System.Globalization;
using Routing.Agent.Config;
using Routing.Agent.Rest;

namespace Routing.Agent.Tests.Rest;

/// <summary>
/// <see cref="EndpointTable"/>, cell by cell, through a real socket. Orders are judged by the real decision core, and
/// questions of a leader in failsafe mode by the real rule.
/// </summary>
public sealed class EndpointTableTests
{
    private static readonly ImmutableArray<string> s_lines =
        [.. EndpointTable.Lines.Split('\n').Where(line => !line.StartsWith('#'))];

    private static readonly ImmutableArray<string> s_columns =
        [.. s_lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries)];

    public static IEnumerable<TheoryDataRow<string>> Columns =>
        s_columns.Select(column => new TheoryDataRow<string>(column));

    [Theory]
    [MemberData(nameof(Columns))]
    public async Task Every_request_gets_its_code(string column)
    {
        await using var node = await EndpointNode.StartAsync(column);
        var wrong = new List<string>();

        foreach (var row in Rows())
        {
            var expected = row.Code(s_columns.IndexOf(column));
            foreach (var (method, path) in expected is null ? [] : row.Requests)
            {
                var got = await node.CodeAsync(method, path, row.Body);
                if (got != expected)
                {
                    wrong.Add($"{method} {path} {row.Body}: {got} instead of {expected}");
                }
            }
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Fact]
    public void Every_column_is_explained_and_has_a_cell_in_every_line()
    {
        Assert.Equal(EndpointTable.Columns.Split('\n').Select(line => line[..1]), s_columns);
        Assert.All(Rows(), row => Assert.True(row.Codes.Length == 1 || row.Codes.Length == s_columns.Length));
    }

    [Fact]
    public void Every_route_has_a_line()
    {
        var asked = Rows().SelectMany(row => row.Requests)
            .Select(request => (request.Method, request.Path.Trim('/').Split('?')[0])).ToHashSet();

        Assert.Superset(
            RestHandler.Routes.All.Select(route => (route.Method, route.Word)).ToHashSet(), asked);
    }

    /// <summary>Who may: no credentials, wrong ones, the right ones; then an address that is not on the list.</summary>
    [Theory]
    [InlineData("401 401 202 403", "POST /reload")]
    [InlineData("401 401 200 403", "POST /restart")]
    [InlineData("401 401 404 403", "DELETE /restart")]
    [InlineData("401 401 503 403", "POST /reinitialize")]
    [InlineData("401 401 200 403", "PATCH /config {\"loop_wait\":9}")]
    [InlineData("401 401 400 403", "PATCH /config {broken")]
    [InlineData("401 401 200 403", "PUT /config {\"ttl\":40}")]
    [InlineData("401 401 200 403", "POST /switchover {\"leader\":\"pg-a\",\"candidate\":\"pg-b\"}")]
    [InlineData("401 401 404 403", "DELETE /switchover")]
    [InlineData("401 401 200 403", "POST /failover {\"candidate\":\"pg-b\"}")]
    [InlineData("401 401 502 403", "POST /failsafe {\"name\":\"pg-a\",\"conn_url\":\"c\",\"api_url\":\"a\"}")]
    [InlineData("401 401 202 403", "POST /sigterm")]
    [InlineData("401 401 200 403", "POST /citus {}")]
    [InlineData("200 200 200 200", "POST /mpp {}")]
    [InlineData("501 501 501 501", "POST /nothing")]
    [InlineData("200 200 200 200", "GET /primary")]
    [InlineData("200 200 200 200", "HEAD /primary")]
    [InlineData("200 200 200 200", "OPTIONS /primary")]
    [InlineData("200 200 200 200", "GET /config")]
    [InlineData("200 200 200 200", "GET /patroni")]
    public async Task What_changes_something_asks_who_it_is(string codes, string request)
    {
        var login = RestHost.Loopback() with { Authentication = new BasicCredentials("admin", "secret") };
        var list = RestHost.Loopback() with { AllowList = ["10.0.0.0/8"] };
        await using var guarded = await EndpointNode.StartAsync("P", login);
        await using var far = await EndpointNode.StartAsync("P", list);
        var (method, path, body) = Row.Split(request);

        Assert.Equal(codes, string.Join(' ',
            await guarded.CodeAsync(method, path, body),
            await guarded.CodeAsync(method, path, body, "admin:wrong"),
            await guarded.CodeAsync(method, path, body, "admin:secret"),
            await far.CodeAsync(method, path, body)));
    }

    private static IEnumerable<Row> Rows() => s_lines.Skip(1).Select(Row.Parse);

    /// <summary>One line of the table.</summary>
    private sealed record Row(
        ImmutableArray<string> Codes, ImmutableArray<(string Method, string Path)> Requests, string? Body)
    {
        public int? Code(int column) => Codes[Codes.Length == 1 ? 0 : column] is var text && text != "___"
            ? int.Parse(text, CultureInfo.InvariantCulture)
            : null;

        public static Row Parse(string line)
        {
            var halves = line.Split(" | ");
            var codes = halves[0].Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(code => code != "every");
            var (method, paths, body) = Split(halves[1]);
            string[] methods = method == "?" ? ["GET", "HEAD", "OPTIONS"] : [method];
            return new Row(
                [.. codes], [.. methods.SelectMany(_ => paths.Split(' '), (one, path) => (one, path))], body);
        }

        /// <summary>A body is what stands behind the paths.</summary>
        public static (string Method, string Paths, string? Body) Split(string request)
        {
            var words = request.Split(' ');
            var paths = words.Skip(1).TakeWhile(word => word[0] == '/').ToList();
            var body = string.Join(' ', words.Skip(1 + paths.Count));
            return (words[0], string.Join(' ', paths), body switch { "" => null, "nothing" => "", _ => body });
        }
    }
}
