using Microsoft.AspNetCore.Http;
using Routing.Agent.Config;

namespace Routing.Agent.Rest;

/// <summary>
/// <c>GET /openapi.json</c>: what this interface takes and answers, for programs that read OpenAPI 3.1.
/// </summary>
internal static class OpenApi
{
    /// <summary>The name of the document, here and in the program.</summary>
    public const string FileName = "openapi.json";

    private static readonly Lazy<byte[]> s_document = new(() => EmbeddedFile.Read(FileName));

    /// <summary>The document.</summary>
    public static ReadOnlyMemory<byte> Document => s_document.Value;

    /// <summary>Answers with it.</summary>
    public static Task AnswerAsync(HttpContext context, RestSettings settings) =>
        context.WriteAsync(settings, StatusCodes.Status200OK, "application/json", Document);
}
