using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Routing.Cluster.Text;

namespace Routing.Agent.Rest;

/// <summary>Reads the JSON object that a request carries.</summary>
internal static class RequestBody
{
    /// <summary>The object; an empty one when the request has no body. Else as <see cref="ReadObjectAsync"/>.</summary>
    public static async ValueTask<(JsonElement? Body, int Code, string Problem)> ReadOptionalObjectAsync(
        HttpContext context) =>
        await ReadAsync(context, mayBeEmpty: true);

    /// <summary>
    /// The object; or null, with the code that says why there is none: 411 without a body, 400 for anything else.
    /// </summary>
    public static async ValueTask<(JsonElement? Body, int Code, string Problem)> ReadObjectAsync(HttpContext context)
    {
        var length = context.Request.ContentLength;
        if (length is null && context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true })
        {
            return (null, StatusCodes.Status411LengthRequired, "The request needs a body.");
        }
        return length == 0 ? Bad("The body is empty.") : await ReadAsync(context, mayBeEmpty: false);
    }

    private static async ValueTask<(JsonElement? Body, int Code, string Problem)> ReadAsync(
        HttpContext context, bool mayBeEmpty)
    {
        try
        {
            // The server bounds what it hands over, with a length and in chunks alike.
            using var whole = new MemoryStream();
            await context.Request.Body.CopyToAsync(whole, context.RequestAborted);
            if (whole.Length < context.Request.ContentLength)
            {
                return Bad("The body is shorter than it says.");
            }
            if (whole.Length == 0 && mayBeEmpty)
            {
                return (JsonElement.Parse("{}"), StatusCodes.Status200OK, "");
            }
            var bytes = whole.ToArray();
            if (!Utf8.IsValid(bytes))
            {
                return Bad("The body is not UTF-8.");
            }
            var json = JsonText.Readable(JsonElement.Parse(bytes));
            return json.ValueKind == JsonValueKind.Object && (mayBeEmpty || json.EnumerateObject().Any())
                ? (json, StatusCodes.Status200OK, "")
                : Bad($"The body has to be a JSON object{(mayBeEmpty ? "" : " that is not empty")}.");
        }
        catch (JsonException problem)
        {
            return Bad($"The body is not JSON: {problem.Message}");
        }
    }

    private static (JsonElement? Body, int Code, string Problem) Bad(string problem) =>
        (null, StatusCodes.Status400BadRequest, problem);

    /// <summary>
    /// The first of some fields that holds something else than a text, a number or null; null when none does.
    /// </summary>
    public static string? FirstThatIsNoText(JsonElement body, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (body.TryGetProperty(name, out var value)
                && value.ValueKind is not (JsonValueKind.String or JsonValueKind.Number or JsonValueKind.Null))
            {
                return name;
            }
        }
        return null;
    }

    /// <summary>A text field; null when it is missing, empty or null.</summary>
    public static string? Text(JsonElement body, string name) =>
        body.TryGetProperty(name, out var value)
            ? value.ValueKind switch
            {
                JsonValueKind.String when value.GetString() is { Length: > 0 } text => text,
                JsonValueKind.Number => value.GetRawText(),
                _ => null,
            }
            : null;
}
