using System.Buffers;
using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Routing.Agent.Config;
using Routing.Cluster;

namespace Routing.Agent.Rest;

/// <summary>Writes one answer, whole, and ends the connection after it.</summary>
internal static class RestResponse
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A JSON document.</summary>
    public static Task JsonAsync(
        this HttpContext context, RestSettings settings, int code, Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>(2048);
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            content(json);
        }
        return context.WriteAsync(settings, code, "application/json", buffer.WrittenMemory);
    }

    /// <summary>A JSON document that is text already.</summary>
    public static Task JsonAsync(this HttpContext context, RestSettings settings, int code, string json) =>
        context.WriteAsync(settings, code, "application/json", Encoding.UTF8.GetBytes(json));

    /// <summary>The result of an action: a sentence.</summary>
    public static Task SayAsync(this HttpContext context, RestSettings settings, int code, string sentence) =>
        context.WriteAsync(settings, code, "text/html", Encoding.UTF8.GetBytes(sentence));

    /// <summary>An error of the HTTP layer: a small page.</summary>
    public static Task ErrorAsync(this HttpContext context, RestSettings settings, int code, string? problem = null)
    {
        var reason = ReasonPhrases.GetReasonPhrase(code);
        var page = $"<!DOCTYPE html><html><head><title>{code} {reason}</title></head>"
            + $"<body><h1>{code} {reason}</h1><p>{WebUtility.HtmlEncode(problem ?? reason)}</p></body></html>\n";
        return context.WriteAsync(settings, code, "text/html;charset=utf-8", Encoding.UTF8.GetBytes(page));
    }

    /// <summary>A status line and nothing else.</summary>
    public static void StatusOnly(this HttpContext context, int code)
    {
        context.Response.StatusCode = code;
        context.Response.Headers.Connection = "close";
        context.Response.ContentLength = 0;
    }

    /// <summary>Status, headers and body.</summary>
    public static async Task WriteAsync(
        this HttpContext context, RestSettings settings, int code, string contentType, ReadOnlyMemory<byte> body)
    {
        context.Begin(settings, code, contentType);
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    /// <summary>Status and headers of an answer whose body is written by the caller.</summary>
    public static void Begin(this HttpContext context, RestSettings settings, int code, string contentType)
    {
        var response = context.Response;
        response.StatusCode = code;
        response.ContentType = contentType;
        response.Headers.Connection = "close";
        response.Headers.Server = settings.ServerTokens switch
        {
            ServerTokens.ProductOnly => "Patroni",
            ServerTokens.Minimal => $"Patroni/{RoutingVersion.Compatible}",
            _ => $"Kestrel Routing/{RoutingVersion.Own} .NET/{Environment.Version}",
        };
        foreach (var (name, value) in settings.ExtraHeaders)
        {
            response.Headers[name] = value;
        }
    }
}
